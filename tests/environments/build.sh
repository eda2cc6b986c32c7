#!/bin/bash
# Builds real environments from the package index, for `cargo test --test environments -- --ignored`.
#
#   tests/environments/build.sh DIR [PYTHON]      all of them, about 20 GB; needs uv, and pip for one
#   tests/environments/build.sh DIR --wheels      only the CUDA library of each torch wheel, one after another
#
# The environments share the files of one cache through hard links, so DIR must be on one file system.
set -eu
dir=$(realpath -m "${1:?a directory}")
export UV_CACHE_DIR=$dir/cache
mkdir -p "$dir"

# What the catalogue says was read from wheels, and the oldest Python that has them.
wheels() {
    cat <<'END'
1.13.1 cu117 3.11
2.0.1 cu117 3.11
2.3.1 cu121 3.11
2.5.1 cu124 3.12
2.6.0 cu124 3.12
2.7.1 cu126 3.12
2.8.0 cu128 3.12
2.9.1 cu128 3.12
2.10.0 cu128 3.12
2.11.0 cu130 3.12
2.13.0 cu130 3.12
2.14.1 cu130 3.12
2.15.0 cu132 3.12
END
}

if [ "${2:-}" = --wheels ]; then
    # A wheel of 0.8 GB at a time; of it the library is kept, up to 1.5 GB. Test each before the next where the disk is small.
    wheels | while read -r version variant python; do
        out=$dir/wheels/torch-$version+$variant
        [ -e "$out/libtorch_cuda.so" ] && continue
        mkdir -p "$out"
        # Tags of old wheels are those of manylinux1.
        pip download -q --no-deps --no-cache-dir --python-version "$python" --only-binary=:all: \
            --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \
            -d "$out" "torch==$version"
        for name in libtorch_cuda.so libtorch_cuda_cu.so; do
            unzip -q -o -j "$out"/torch-*.whl "torch/lib/$name" -d "$out" || true
        done
        rm "$out"/torch-*.whl
    done
    exit
fi

python=${2:-python3.12}
new() { rm -rf "${dir:?}/$1" && uv venv -q --python "$python" ${2:+"$2"} "$dir/$1"; }
add() { name=$1 && shift && uv pip install -q --python "$dir/$name/bin/python" "$@"; }

# vLLM with the torch that it pins.
new clean && add clean vllm==0.25.1
# An older torch of CUDA 12, with extensions.
new older && add older torch==2.7.1 xformers==0.0.31 bitsandbytes
# torch replaced under vLLM by a later command.
new replaced && add replaced vllm==0.25.1 && add replaced torch==2.10.0
# A library of CUDA 12 beside a torch of CUDA 13.
new mixed && add mixed torch==2.11.0 && add mixed --no-deps nvidia-cudnn-cu12==9.10.2.21
# Two torches in one directory, as `--ignore-installed` leaves them.
new two && add two torch==2.11.0
pip --python "$dir/two/bin/python" install -q --no-cache-dir --ignore-installed --no-deps torch==2.7.1
# A torch of the user's own before that of the environment.
new user --system-site-packages && add user torch==2.11.0
version=$("$dir/user/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
uv pip install -q --no-deps --target "$dir/home/.local/lib/python$version/site-packages" torch==2.7.1
