#!/bin/sh
# Puts ONNX Runtime's shared library into .runtime/ (or the folder given), out of the wheel that cpu.txt or cuda.txt pins.
#
#   src/engine/runtime/fetch.sh [FOLDER]      CUDA=1: the CUDA build, CUDA=0: back to the other
#                                             PYTHON=…: the interpreter whose pip is used
#
# The wheel only carries the library: no Python of it is installed, so any Python 3 with pip will do. A second call finds
# the stamp of the first and does nothing; a download that breaks off leaves what was there before.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-.runtime}
python=${PYTHON:-python3}
pins=$here/cpu.txt
stamp=$folder/.pin
# Whoever fetched the CUDA build keeps it until CUDA=0 asks for the other.
if [ "${CUDA:-}" = 1 ] || { [ -z "${CUDA:-}" ] && grep -q '^onnxruntime-gpu' "$stamp" 2>/dev/null; }; then
    pins=$here/cuda.txt
fi
pins=${PINS:-$pins}

fail() { echo "setup: $1" >&2; exit 1; }

[ -f "$pins" ] || fail "no file of pins at $pins"
pin=$(grep -v '^#' "$pins")
# A library that was named is the one that is used.
[ -n "${ORT_DYLIB_PATH:-}" ] && [ -e "$ORT_DYLIB_PATH" ] && exit 0
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$pin" ] && ls "$folder"/libonnxruntime.so* >/dev/null 2>&1; then
    exit 0
fi

case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) ;;
    *) fail "the pinned wheel is for Linux on x86-64 and this is $(uname -s) on $(uname -m): install ONNX Runtime 1.31 and set ORT_DYLIB_PATH to its library" ;;
esac
command -v "$python" >/dev/null 2>&1 || fail "$python not found: install Python 3 with pip (Debian: apt-get install python3-pip), or set PYTHON"
"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip: install it (Debian: apt-get install python3-pip), or set PYTHON to one that has"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "setup: fetching ${pin%% *}"
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
    --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
    --require-hashes --requirement "$pins" --dest "$work" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    if grep -qi 'do not match the hashes' "$work/log"; then
        fail "the wheel that came is not the one pinned in $pins (its sha256 differs): nothing was installed"
    fi
    fail "the wheel could not be downloaded (see above): is the package index reachable from here?"
fi

"$python" - "$work" <<'PYTHON' || fail "the wheel holds no ONNX Runtime library"
import pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
wheel = next(work.glob("*.whl"))
(work / "lib").mkdir()
found = 0
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        base = name.rsplit("/", 1)[-1]
        if name.startswith("onnxruntime/capi/libonnxruntime") and ".so" in base:
            (work / "lib" / base).write_bytes(archive.read(name))
            found += 1
        elif base in ("LICENSE", "ThirdPartyNotices.txt"):
            (work / "lib" / base).write_bytes(archive.read(name))
sys.exit(0 if found else 1)
PYTHON

mkdir -p "$folder"
rm -f "$folder"/libonnxruntime* "$stamp"
mv "$work"/lib/* "$folder"/
printf '%s' "$pin" >"$stamp"
echo "setup: $(ls "$folder" | grep -c libonnxruntime) libraries in $folder"
