"""Tab completion for bash, zsh and fish: the scripts ask `jaxplace _complete WORDS...`."""

from jaxplace.errors import InputError


HOW = """\
  bash   eval "$(jaxplace completion bash)"      in ~/.bashrc
  zsh    eval "$(jaxplace completion zsh)"       in ~/.zshrc, after compinit
  fish   jaxplace completion fish | source       in ~/.config/fish/config.fish
"""
FLAGS = ("--help", "--cfg", "--config-dir")
_SHELLS = {
    # bash splits words at "=" and ":", so the word is taken from the line and the answer is cut
    "bash": """\
_jaxplace() {
  local line="${COMP_LINE:0:COMP_POINT}" word offer
  local -a words
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  word="${words[-1]}"
  COMPREPLY=()
  local cut="${word%"${word##*[=:]}"}"
  while IFS= read -r offer; do
    COMPREPLY+=("${offer#"$cut"}")
  done < <(jaxplace _complete "${words[@]:1}" 2>/dev/null)
  if [[ ${#COMPREPLY[@]} -eq 0 && "$word" == @(scenario|out)=* ]]; then
    compopt -o filenames
    while IFS= read -r offer; do COMPREPLY+=("$offer"); done < <(compgen -d -- "${word#*=}")
  fi
  [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
}
complete -F _jaxplace jaxplace
""",
    "zsh": """\
_jaxplace() {
  local -a offers
  offers=("${(@f)$(jaxplace _complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  offers=(${offers:#})
  if (( ${#offers} )); then
    compadd -S '' -- $offers
  elif [[ ${words[CURRENT]} == (scenario|out)=* ]]; then
    compset -P '*='
    _files -/
  fi
}
compdef _jaxplace jaxplace
""",
    "fish": """\
function __jaxplace_offers
  set -l words (commandline -opc) (commandline -ct)
  jaxplace _complete $words[2..-1] 2>/dev/null
end
complete -c jaxplace -f -a '(__jaxplace_offers)'
""",
}


def script(words: list[str]) -> str:
    """The script for a shell.

    Raises:
        InputError: no shell, or one that is not known.
    """
    if len(words) != 1 or words[0] not in _SHELLS:
        came = " ".join(words) or "nothing"
        raise InputError(f"`jaxplace completion` needs one of {', '.join(_SHELLS)}. Got {came}")
    return _SHELLS[words[0]]


def candidates(words: list[str], commands: list[str]) -> list[str]:
    """What may stand in the place of the last of the words (which may be empty)."""
    if len(words) < 2:
        return _starting(words[0] if words else "", [*commands, "--help", "--version"])
    command, word = words[0], words[-1]
    if command == "completion":
        return _starting(word, list(_SHELLS))
    if command not in commands:
        return []
    from jaxplace import config
    from jaxplace.options import options

    known = {option.key: option for option in options(config.schema_of(command))}
    groups = config.groups(command)
    key, sign, _ = word.partition("=")
    if not sign:
        used = {w.partition("=")[0] for w in words[1:-1]}
        keys = [f"{k}=" for k in [*groups, *known] if k not in used]
        return _starting(word, [*keys, *FLAGS] if word.startswith("-") else keys)
    values = (
        config.choices(key, command)
        if key in groups
        else known[key].choices
        if key in known
        else []
    )
    return _starting(word, [f"{key}={value}" for value in values])


def _starting(word: str, offers: list[str]) -> list[str]:
    """The offers that begin with what is typed already."""
    return [offer for offer in offers if offer.startswith(word)]
