# Completion of minke's command lines for fish: put this in ~/.config/fish/completions.

function __minke_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    for line in $lines[1..-2]
        echo $line
    end
    if test "$lines[-1]" = ":files"
        __fish_complete_path $current
    end
end

complete -c minke -f -a '(__minke_complete)'
