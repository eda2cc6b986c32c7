#!/usr/bin/env python3
"""Compiles the probe kernels to PTX, and proves that what is committed is what the sources give.

    pip install --target TOOLS -r probe-kernels/requirements.txt
    python3 probe-kernels/build.py TOOLS             rewrites probe-kernels/ptx/
    python3 probe-kernels/build.py TOOLS --check     compares, assembles for every architecture, reads the machine code

No GPU, driver, CUDA toolkit or header is needed: NVRTC alone compiles the sources.
"""

import argparse
import concurrent.futures
import ctypes
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = ("memory", "w4a16", "w8a16", "paged_attention", "mla")

# Virtual architecture -> the PTX version to claim. NVRTC 11.8 writes 7.8, which drivers older than 520 refuse. What the first two
# use came with 7.4, so that they load from driver 470 on; `barrier.cluster.arrive.relaxed` of the third needs 8.0, from driver 525
# on, which is the oldest that engines support on cards of compute capability 9.0.
TARGETS = {"75": "7.4", "80": "7.4", "90": "8.0", "90a": "8.0"}

# What is compiled for one architecture alone. NVRTC 11.8 does not know `sm_90a`: it compiles for `compute_90`, and the text names the
# target afterwards; the instructions that need it are inline assembly.
ALONE = {"90a": ("w4a16",)}

# Where each of them must assemble: on every generation of cards. Its variants for boards and small computers (87, 103, 110, 121) have
# the same instructions of those that the kernels use.
ASSEMBLE = {"75": ("75",), "80": ("80", "86", "89", "90", "100", "120"), "90": ("90", "100", "120"), "90a": ("90a",)}


def kernels_for(target):
    """The sources that are compiled for one virtual architecture."""
    return ALONE.get(target, KERNELS)


def compile_to_ptx(tools, name, target):
    """The PTX text of one source for one virtual architecture."""
    nvrtc = ctypes.CDLL(str(tools / "nvidia/cuda_nvrtc/lib/libnvrtc.so.11.2"))
    program = ctypes.c_void_p()
    source = (HERE / f"{name}.cu").read_bytes()
    if nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, f"{name}.cu".encode(), 0, None, None):
        sys.exit("NVRTC cannot be started")
    options = [f"--gpu-architecture=compute_{target.rstrip('a')}", "--std=c++17", f"-I{HERE}"]
    if target in ALONE:
        options.append("-DONE_ARCHITECTURE")
    array = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    failed = nvrtc.nvrtcCompileProgram(program, len(options), array)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    if failed:
        sys.exit(f"{name}.cu for compute_{target}:\n{log.value.decode()}")
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, text)
    return tidy(text.value.decode(), name, target)


def tidy(text, name, target):
    """Claims the older version and drops comments and empty lines, half of the text."""
    text, count = re.subn(r"^\.version 7\.8$", f".version {TARGETS[target]}", text, flags=re.M)
    text, named = re.subn(rf"^\.target sm_{target.rstrip('a')}$", f".target sm_{target}", text, flags=re.M)
    if (count, named) != (1, 1):
        sys.exit(f"{name}.cu for compute_{target}: NVRTC did not write PTX 7.8 for it; use the version of requirements.txt")
    lines = (line.strip() for line in text.splitlines())
    kept = [line for line in lines if line and not line.startswith("//")]
    return f"// Made from {name}.cu by build.py with NVRTC 11.8.89 for compute_{target}. Do not edit.\n" + "\n".join(kept) + "\n"


def assemble(tools, modules, architecture, folder):
    """One file of machine code of some modules for one architecture; fails on an error and on a register that is spilled."""
    cubin = folder / f"{modules[0].suffixes[0].lstrip('.')}.on.sm{architecture}.cubin"
    command = [tools / "nvidia/cu13/bin/ptxas", f"-arch=sm_{architecture}", "-v", *modules, "-o", cubin]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    names = ", ".join(module.name for module in modules)
    if done.returncode:
        sys.exit(f"{names} for sm_{architecture}:\n{done.stderr}")
    kernels = []
    for line in done.stderr.splitlines():
        if match := re.search(r"Compiling entry function '(\w+)'", line):
            kernels.append(match[1])
        spilled = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if spilled and spilled.groups() != ("0", "0"):
            sys.exit(f"{names} for sm_{architecture}: {kernels[-1] if kernels else '?'} spills registers: {line.strip()}")
    entries = [name for module in modules for name in re.findall(r"^(?:\.visible )?\.entry (\w+)", module.read_text(), flags=re.M)]
    if sorted(kernels) != sorted(entries):
        sys.exit(f"{names} for sm_{architecture}: of {', '.join(sorted(entries))}, ptxas assembled {', '.join(sorted(kernels))}")
    return cubin, entries


def unassigned(tools, cubin, entries):
    """Uniform registers that a kernel reads and no instruction of it writes. Fails unless the kernels are `entries`.

    ptxas 13.0 makes such code of `cp.async` with an L2 cache hint of a constant policy: the descriptor of the access is then
    whatever the register holds, and the first launch ends with an illegal instruction.
    """
    command = [tools / "nvidia/cu13/bin/nvdisasm", "-c", cubin]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found, read = [], []
    for part in re.split(r"^\.text\.", text, flags=re.M)[1:]:
        name, _, body = part.partition(":")
        read.append(name)
        found += [f"{name}: {register}" for register in sorted(read_but_never_written(body))]
    if sorted(read) != sorted(entries):
        sys.exit(f"{cubin.name}: of {', '.join(sorted(entries))}, nvdisasm shows {', '.join(sorted(read))}")
    return found


def read_but_never_written(body):
    """The uniform registers of one kernel that are read and never written."""
    read, written = set(), set()
    for line in re.findall(r"/\*[0-9a-f]{4,}\*/\s+([^;]*);", body):
        instruction = re.sub(r"^\s*@!?U?P\w+\s+", "", line)
        mnemonic, _, operands = instruction.partition(" ")
        wide = 2 if ".64" in mnemonic or "WIDE" in mnemonic else 4 if ".128" in mnemonic else 1
        places = [place.strip() for place in operands.split(",")]
        for index, place in enumerate(places):
            for register in re.findall(r"\bUR(\d+)\b", place):
                # The destination is the first operand and stands alone; a predicate may stand before it.
                first = index == 0 or all(re.fullmatch(r"U?PT?\w*", before) for before in places[:index])
                if first and place == f"UR{register}" and writes_uniform(mnemonic):
                    written.update(range(int(register), int(register) + wide))
                else:
                    read.add(int(register))
    return {f"UR{register}" for register in read - written}


def writes_uniform(mnemonic):
    """Whether an instruction's first operand, a uniform register, is its result."""
    return mnemonic.startswith(("U", "R2UR", "S2UR", "CS2UR", "LDCU", "VOTEU", "REDUX", "CREDUX", "SYNCS", "ELECT"))


def main():
    """Writes, or checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", type=pathlib.Path, help="where the wheels of requirements.txt are installed")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a file would change")
    arguments = parser.parse_args()
    folder = HERE / "ptx"
    folder.mkdir(exist_ok=True)
    stale = []
    # NVRTC compiles one program at a time in a process.
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as workers:
        compiled = {(name, target): workers.submit(compile_to_ptx, arguments.tools, name, target) for target in TARGETS for name in kernels_for(target)}
        for (name, target), fresh in compiled.items():
            path = folder / f"{name}.sm{target}.ptx"
            if not arguments.check:
                path.write_text(fresh.result())
            elif not path.exists() or path.read_text() != fresh.result():
                stale.append(path.name)
    if stale:
        sys.exit(f"not what the sources give: {', '.join(stale)}; run `python3 probe-kernels/build.py TOOLS`")
    if arguments.check:
        with tempfile.TemporaryDirectory() as scratch:
            check_machine_code(arguments.tools, folder, pathlib.Path(scratch))


def check_machine_code(tools, folder, scratch):
    """Assembles every file for every architecture that may get it.

    Files for one architecture go through the assembler and the disassembler together, which gives the same code: starting them
    takes longer than most files.
    """
    pairs = [(target, architecture) for target, architectures in ASSEMBLE.items() for architecture in architectures]

    def check(pair):
        target, architecture = pair
        cubin, entries = assemble(tools, [folder / f"{name}.sm{target}.ptx" for name in kernels_for(target)], architecture, scratch)
        if bad := unassigned(tools, cubin, entries):
            sys.exit(f"sm{target}.ptx for sm_{architecture}: a register is read that nothing writes:\n" + "\n".join(bad))
        return len(entries)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        kernels = sum(workers.map(check, pairs))
    modules = sum(len(kernels_for(target)) for target, _ in pairs)
    print(f"{kernels} kernels of {modules} modules assemble without spills, and read no uniform register that they do not write")


if __name__ == "__main__":
    main()
