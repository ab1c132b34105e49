# Completion of minke's command lines for bash: source this, or put it where bash-completion looks.

_minke() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}") current=${COMP_WORDS[COMP_CWORD]} line
    # Undo what readline does: it cuts words at `=` and `:`.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local whole index
        _get_comp_words_by_ref -n "=:" -w whole -i index -c current
        words=("${whole[@]:1:index}")
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files) compopt -o default 2>/dev/null ;;
            :) compopt +o default 2>/dev/null ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$current"
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == --*= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -F _minke minke
