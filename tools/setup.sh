#!/usr/bin/env bash
# Makes .venv from uv.lock, builds Horovod against torch, resolves Delta's JAR. Run by make, once.
# CAMOE_TORCH=cpu takes PyTorch without CUDA, from PyTorch's own index.
# Names what the machine lacks before anything is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
LOG=.setup.log

missing=()
python=$(command -v python3.11 || command -v python3 || true)
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    missing+=("Python 3.11: apt-get install python3.11 python3.11-venv python3.11-dev")
else
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("Python's venv module: apt-get install python3.11-venv")
    "$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' ||
        missing+=("Python's headers: apt-get install python3.11-dev")
fi
command -v "${CAMOE_CXX:-c++}" >/dev/null || missing+=("a C++ compiler: apt-get install g++")
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
java_version=$("$java" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p' || true)
case "$java_version" in
    17 | 21) ;;
    "") missing+=("a JDK 17 or 21: apt-get install openjdk-17-jdk-headless") ;;
    *) missing+=("a JDK 17 or 21 (found $java_version): apt-get install openjdk-17-jdk-headless, then set JAVA_HOME") ;;
esac
if [ ${#missing[@]} -gt 0 ]; then
    printf 'missing: %s\n' "${missing[@]}" >&2
    exit 1
fi

run() {
    echo "setup: $1 ..."
    shift
    if ! "$@" >>"$LOG" 2>&1; then
        tail -n 20 "$LOG" >&2
        echo "setup failed; the whole log is in $LOG" >&2
        exit 1
    fi
}

: >"$LOG"
echo "setup: once, a few minutes (log: $LOG)"
[ -x .tools/bin/uv ] || run "the installer" "$python" -m venv .tools
[ "$(.tools/bin/uv --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ] ||
    run "the installer's version $UV_VERSION" .tools/bin/pip install --quiet "uv==$UV_VERSION"
run "Python packages, and Horovod built against torch (2 to 4 minutes the first time)" \
    tools/packages.sh "${CAMOE_TORCH:-cuda}" --compile-bytecode --python "$python"
install -D -m 644 conf/spark/spark-env.sh .venv/lib/python3.11/site-packages/pyspark/conf/spark-env.sh
unset SPARK_HOME PYSPARK_DRIVER_PYTHON
export PATH="$PWD/.venv/bin:$PATH" PYSPARK_PYTHON="$PWD/.venv/bin/python"
run "Delta Lake's JARs" spark-submit --properties-file conf/spark/local.conf \
    --packages io.delta:delta-spark_4.0_2.13:4.4.0 tools/check_spark.py
# As jobs run it; the archive has to be made with the options under which it is used.
run "an archive of Spark's classes" spark-submit --properties-file conf/spark/local.conf \
    --driver-java-options "-XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit=.venv/spark.jsa" tools/check_spark.py
