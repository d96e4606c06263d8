# Sourced by the scripts: lines that say what is happening, with elapsed time.

say() { printf '%s\n' "$*"; }

# fail STATUS TEXT...: the last line of a script that cannot go on.
fail() {
  local status=$1
  shift
  printf '%s: %s\n' "scripts/${0##*/}" "$*" >&2
  exit "$status"
}

# seconds N: 7 s, 2 min 5 s
seconds() {
  if (($1 < 60)); then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}

# step TEXT LOG COMMAND...: runs a command with its output in a log. A terminal shows a counting
# clock; a file gets a line each half minute. A failure shows the end of the log.
step() {
  local text=$1 log=$2 start=$SECONDS shown=0 status=0 pid
  shift 2
  mkdir -p "$(dirname "$log")"
  "$@" > "$log" 2>&1 < /dev/null &
  pid=$!
  trap 'kill "$pid" 2> /dev/null; say "interrupted; the next start goes on from here" >&2; exit 130' INT TERM
  while kill -0 "$pid" 2> /dev/null; do
    local spent=$((SECONDS - start))
    if [[ -t 1 ]]; then
      printf '\r%s ... %s ' "$text" "$(seconds "$spent")"
    elif ((spent >= shown + 30)); then
      shown=$spent
      say "$text ... $(seconds "$spent")"
    fi
    sleep 0.2
  done
  wait "$pid" || status=$?
  trap - INT TERM
  if [[ -t 1 ]]; then printf '\r\033[K'; fi
  say "$text: $(seconds $((SECONDS - start)))"
  if ((status != 0)); then
    say "--- the end of $log" >&2
    tail -n 30 "$log" >&2
    return "$status"
  fi
}
