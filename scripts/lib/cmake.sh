# Sourced by the scripts, after say.sh: how a preset is configured and compiled.

# At most one compiler for each core, and for each 1.5 GB of memory.
jobs_count() {
  local cores memory_gb
  cores=$(nproc)
  memory_gb=$(awk '/^MemAvailable/ {print int($2 / 1024 / 1024)}' /proc/meminfo)
  local by_memory=$((memory_gb * 2 / 3))
  if ((by_memory < 1)); then by_memory=1; fi
  echo $((cores < by_memory ? cores : by_memory))
}

# compile PRESET TARGETS...
compile() {
  local preset=$1 python start=$SECONDS
  shift
  python=$(< build/setup/python)
  # Configured anew for another Python or other presets; everything else CMake sees for itself.
  local want stamp=build/$preset/.configured
  want="$python $(sha256sum < CMakePresets.json)"
  if [[ ! -f build/$preset/build.ninja || ! -f $stamp || $(< "$stamp") != "$want" ]]; then
    rm -f "build/$preset/CMakeCache.txt"
    step "configuring build/$preset" "build/$preset/configure.log" \
      cmake --preset "$preset" "-DATTUNE_PYTHON:FILEPATH=$python" \
      "-DPython3_EXECUTABLE=$root/.venv/bin/python"
    printf '%s\n' "$want" > "$stamp"
  fi
  if [[ ! -f build/$preset/.ninja_log ]]; then
    say "compiling build/$preset for the first time, $(jobs_count) jobs: about ten minutes on two cores"
  fi
  NINJA_STATUS='[%f/%t, %e s] ' ninja -C "build/$preset" -j "$(jobs_count)" "$@"
  say "built build/$preset: $(seconds $((SECONDS - start)))"
}
