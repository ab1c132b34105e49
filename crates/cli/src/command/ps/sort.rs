//! `--sort`.

use minke_engine::ContainerSummary;

/// What a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Command,
    Created,
    Id,
    Image,
    Names,
    RunningFor,
    Size,
    Status,
}

impl Sort {
    /// Reads the name of a column.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "command" => Sort::Command,
            "created" => Sort::Created,
            "id" => Sort::Id,
            "image" => Sort::Image,
            "names" => Sort::Names,
            "runningfor" => Sort::RunningFor,
            "size" => Sort::Size,
            "status" => Sort::Status,
            _ => {
                return Err(format!(
                    "{text:?} is not a valid value.  Choose from: \"command\", \"created\", \"id\", \"image\", \"names\", \"runningfor\", \"size\", \"status\""
                ));
            }
        })
    }

    /// Orders a list.
    pub fn apply(self, containers: &mut [ContainerSummary]) {
        match self {
            Sort::Command => containers.sort_by(|a, b| a.command.first().cmp(&b.command.first())),
            Sort::Created => containers.sort_by_key(|container| container.created),
            Sort::Id => containers.sort_by(|a, b| a.id.cmp(&b.id)),
            Sort::Image => containers.sort_by(|a, b| a.image.cmp(&b.image)),
            Sort::Names => containers.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::RunningFor => containers.sort_by_key(|container| container.started),
            Sort::Size => {
                containers.sort_by_key(|container| container.size.map(|size| size.root_bytes));
            }
            Sort::Status => containers.sort_by_key(|container| container.state.as_str()),
        }
    }
}
