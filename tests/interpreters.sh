#!/usr/bin/env bash
# Runs what depends most on the version of Python, in each CPython that is here, on PATH or of pyenv,
# but for HAS, which runs all of the tests anyway. WHEELS has the wheel, VENVS gets an environment for
# each, PYTEST is what to install. A version that is not here is said, and is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."

# A free-threaded Python loads no wheel for the stable interface.
VERSIONS=(3.10 3.11 3.12 3.13 3.14)
TESTS=(arguments async_client client command ending hints logging old_command old_imports portable
  session_provider user_code)

files=("${TESTS[@]/#/tests/python/test_}")
files=("${files[@]/%/.py}")

is_version() {
  "$1" -c 'import sys, sysconfig
free = sysconfig.get_config_var("Py_GIL_DISABLED")
sys.exit(free or "%d.%d" % sys.version_info[:2] != sys.argv[1])' "$2" 2>/dev/null
}

find_version() {
  local python
  for python in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    if [ -x "$python" ] && is_version "$python" "$1"; then
      echo "$python"
      return
    fi
  done
  return 1
}

ran="" missing="" failed=""
for version in "${VERSIONS[@]}"; do
  [ "$version" != "$HAS" ] || continue
  if ! python=$(find_version "$version"); then
    missing+=" $version"
    continue
  fi
  venv=$VENVS/$version
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet "$PYTEST"
  "$venv/bin/python" -m pip install --quiet --force-reinstall --no-deps "$WHEELS"/*.whl
  echo "Python $version"
  # What a test skips for want of a tool, the whole of the tests does not.
  env -u CI "$venv/bin/python" -m pytest -q -p no:cacheprovider "${files[@]}" || failed+=" $version"
  ran+=" $version"
done
echo "the tests were run with Python$ran, not to be had here:${missing:- none}"
[ -z "$failed" ] || { echo "failed with Python$failed"; exit 1; }
