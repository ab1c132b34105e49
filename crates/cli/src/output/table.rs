//! Columns as Go's tabwriter sets them for Podman: at least twelve wide, two spaces apart, the
//! last one as long as it is.

const LEAST_WIDTH: usize = 12;
const GAP: usize = 2;

/// Sets `rows` below `heading`; without a heading, the rows alone.
pub fn set(heading: Option<&[&str]>, rows: &[Vec<String>]) -> String {
    let heading: Option<Vec<String>> =
        heading.map(|cells| cells.iter().map(|&cell| cell.to_owned()).collect());
    let lines: Vec<&Vec<String>> = heading.iter().chain(rows).collect();
    let widths = widths(&lines);
    let mut text = String::new();
    for line in lines {
        set_line(line, &widths, &mut text);
    }
    text
}

fn widths(lines: &[&Vec<String>]) -> Vec<usize> {
    let columns = lines.iter().map(|line| line.len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        LEAST_WIDTH.max(longest + GAP)
    };
    (0..columns).map(width).collect()
}

fn set_line(cells: &[String], widths: &[usize], text: &mut String) {
    for (index, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        text.push_str(cell);
        if index + 1 < cells.len() {
            let padding = width.saturating_sub(cell.chars().count());
            text.extend(std::iter::repeat_n(' ', padding));
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    #[test]
    fn columns_are_podmans() {
        let heading = ["CONTAINER ID", "IMAGE", "PORTS", "NAMES"];
        let rows = [
            row(&["0123456789ab", "localhost/a:latest", "", "web"]),
            row(&["ba9876543210", "b", "80/tcp", "a_long_name"]),
        ];
        let expected = "\
CONTAINER ID  IMAGE               PORTS       NAMES
0123456789ab  localhost/a:latest              web
ba9876543210  b                   80/tcp      a_long_name
";
        assert_eq!(set(Some(&heading), &rows), expected);
    }

    #[test]
    fn a_heading_can_stand_alone_or_be_absent() {
        assert_eq!(set(Some(&["A", "B"]), &[]), "A           B\n");
        assert_eq!(set(None, &[row(&["a", "b"])]), "a           b\n");
        assert_eq!(set(None, &[]), "");
    }
}
