#!/usr/bin/env bash
# packages.sh cuda|cpu|none ARGUMENTS: installs the locked packages with `uv sync ARGUMENTS`, PyTorch being the build that
# PyPI has (cuda), the one without CUDA of PyTorch's own index (cpu), or left out, and Horovod with it (none).
set -euo pipefail
cd "$(dirname "$0")/.."
torch=$1
shift
uv=.tools/bin/uv
export PATH="$PWD/tools:$PATH" UV_PYTHON_DOWNLOADS=never
locked() { sed -nE "s/^name = \"($1)\"\$/\1/p" uv.lock; }
left_out=()
case $torch in
    cuda) ;;
    cpu) left_out=(torch $(locked 'nvidia-.*|cuda-.*|triton')) ;;
    none) left_out=(torch horovod $(locked 'nvidia-.*|cuda-.*|triton')) ;;
    *)
        echo "TORCH=$torch is none of cuda, cpu, none" >&2
        exit 2
        ;;
esac
$uv sync --locked "$@" "${left_out[@]/#/--no-install-package=}"
if [ "$torch" = cpu ]; then
    version=$(grep -A1 '^name = "torch"$' uv.lock | sed -nE 's/^version = "(.*)"$/\1/p')
    $uv pip install --python "${UV_PROJECT_ENVIRONMENT:-.venv}" --torch-backend cpu "torch==$version"
fi
