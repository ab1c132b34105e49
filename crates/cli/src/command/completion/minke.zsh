#compdef minke
# Completion of minke's command lines for zsh: put this in a directory of $fpath as _minke.

_minke() {
    local -a candidates
    local line
    local files=0
    for line in "${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            :files) files=1 ;;
            :|'') ;;
            *) candidates+=("${${line//:/\\:}/$'\t'/:}") ;;
        esac
    done
    (( ${#candidates} )) && _describe 'minke' candidates
    (( files )) && _files
}

if [[ $funcstack[1] == _minke ]]; then
    _minke
else
    compdef _minke minke
fi
