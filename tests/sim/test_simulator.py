"""The simulator itself: what instructions give and take, what it refuses, and that a wrong kernel is noticed. Run by `make test-sim`."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "cuda" / folder) for folder in ("sim", "twin")]

import mutants
import simulator

pytestmark = pytest.mark.skipif(simulator.why_not() is not None, reason=str(simulator.why_not()))

# The kernel's argument is in %base, the thread's number in %me, the address of its word in %mine.
KERNEL = """
.version 7.0
.target sm_80
.address_size 64
.visible .entry test(.param .u64 words) {{
  .reg .b32 %me, %a<10>;
  .reg .f32 %f<10>;
  .reg .b64 %base, %mine, %b<10>;
  .reg .f64 %d<10>;
  .reg .b16 %h<4>;
  .reg .pred %p<4>;
  .shared .align 4 .b8 shared[{shared}];
  ld.param.u64 %base, [words];
  cvta.to.global.u64 %base, %base;
  mov.u32 %me, %tid.x;
  mad.wide.u32 %mine, %me, 4, %base;
  {body}
  ret;
}}
"""


def write(folder, body, shared=4):
    path = folder / "kernel.ptx"
    path.write_text(KERNEL.format(body=body, shared=shared), encoding="utf-8")
    return path


def launch(folder, image, threads=32, words=32, **settings):
    """The ended program, with what it printed; the lines about the launch are in its stderr."""
    environment = {**simulator.environment("a100", settings), "SIM_CACHE": str(folder / "cache")}
    command = [sys.executable, pathlib.Path(__file__).parent / "on_simulator.py", image, str(threads), str(words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def run(folder, body, shared=4, **options):
    return launch(folder, write(folder, body, shared), **options)


def said(ended):
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def cycles_of(ended):
    said(ended)
    return int(re.search(r"> (\d+) cycles", ended.stderr)[1])


# What each thread stores, in PTX and in Python.
ARITHMETIC = {
    "carry": (
        """cvt.u64.u32 %b0, %me;
        mad.lo.u64 %b0, %b0, 0x123456789, 0xffffffff;
        shr.u64 %b0, %b0, 32;
        cvt.u32.u64 %a0, %b0;""",
        lambda t: (t * 0x123456789 + 0xFFFFFFFF) >> 32,
    ),
    "double": (
        """cvt.rn.f64.u32 %d0, %me;
        fma.rn.f64 %d0, %d0, 0d3FE0000000000000, 0d4059000000000000;
        cvt.rn.f32.f64 %f0, %d0;
        cvt.rzi.u32.f32 %a0, %f0;""",
        lambda t: int(t * 0.5 + 100),
    ),
    "float": (
        """cvt.rn.f32.u32 %f0, %me;
        fma.rn.f32 %f0, %f0, 0f41200000, 0fBF800000;
        max.f32 %f0, %f0, 0f00000000;
        cvt.rzi.u32.f32 %a0, %f0;""",
        lambda t: max(0, t * 10 - 1),
    ),
    "shuffle": ("shfl.sync.bfly.b32 %a0, %me, 5, 31, 0xffffffff;", lambda t: t ^ 5),
    "reduction": ("redux.sync.min.u32 %a0, %me, 0xffffffff;", lambda t: 0),
    # In a stack: an address that is known only when run.
    "local": (
        """.local .align 8 .b8 stack[64];
        and.b32 %a1, %me, 7;
        mov.u64 %b0, stack;
        mad.wide.u32 %b0, %a1, 2, %b0;
        sub.u32 %a0, 3, %me;
        cvt.u16.u32 %h0, %a0;
        st.local.u16 [%b0], %h0;
        ld.local.s16 %a0, [%b0];
        ld.local.u16 %a1, [%b0];
        sub.u32 %a0, %a1, %a0;""",
        lambda t: 0 if t <= 3 else 65536,
    ),
    "divergence": (
        """setp.lt.u32 %p0, %me, 7;
        mov.u32 %a0, 1;
        @%p0 bra LESS;
        mul.lo.u32 %a0, %me, %me;
        LESS:
        vote.sync.ballot.b32 %a1, %p0, 0xffffffff;
        add.u32 %a0, %a0, %a1;""",
        lambda t: (1 if t < 7 else t * t) + 0x7F,
    ),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_each_thread_computes_what_it_should(tmp_path, name):
    body, expected = ARITHMETIC[name]
    ended = run(tmp_path, body + "st.global.u32 [%mine], %a0;")
    assert said(ended)["memory"] == [expected(t) for t in range(32)]


def test_a_barrier_orders_what_warps_write_and_read(tmp_path):
    body = """mov.u32 %a1, shared;
      shl.b32 %a2, %me, 2;
      add.u32 %a1, %a1, %a2;
      st.shared.u32 [%a1], %me;
      bar.sync 0;
      xor.b32 %a2, %a2, 508;
      mov.u32 %a1, shared;
      add.u32 %a1, %a1, %a2;
      ld.shared.u32 %a0, [%a1];
      st.global.u32 [%mine], %a0;"""
    answer = said(run(tmp_path, body, threads=128, words=128, shared=512))
    assert answer["memory"] == [t ^ 127 for t in range(128)]
    assert answer["shared_bytes"] == 512 and answer["local_bytes"] == 0
    assert 0 < answer["registers"] <= 32 and answer["max_threads"] == 1024
    # 2048 threads a multiprocessor.
    assert answer["blocks"] == 16


def test_an_access_out_of_bounds_ends_with_words(tmp_path):
    ended = run(tmp_path, "st.global.u32 [%mine+4], %me;")
    assert ended.returncode != 0 and ended.stdout == ""
    assert "simulator: not within a buffer" in ended.stderr and "thread 31" in ended.stderr


@pytest.mark.parametrize(
    "body, words",
    [
        ("dp4a.u32.u32 %a0, %me, %me, %me; st.global.u32 [%mine], %a0;", "not done: instruction IDP.4A"),
        (
            "cvt.rn.f32.u32 %f0, %me; sqrt.approx.f32 %f0, %f0; st.global.f32 [%mine], %f0;",
            "not done: .SQRT of MUFU.SQRT",
        ),
        ("mov.u32 %a0, %ntid.y; bar.sync 1; st.global.u32 [%mine], %a0;", "not done: a barrier other than 0"),
    ],
)
def test_what_is_not_known_ends_with_its_name(tmp_path, body, words):
    ended = run(tmp_path, body)
    assert ended.returncode != 0 and ended.stdout == ""
    assert f"simulator: {words}" in ended.stderr


def test_what_ptxas_refuses_is_in_the_log(tmp_path):
    ended = run(tmp_path, "this.is.no.instruction;")
    assert ended.returncode != 0
    # CUDA_ERROR_INVALID_PTX
    assert "cuModuleLoadDataEx returned 218" in ended.stderr and "known instruction" in ended.stderr.split("218", 1)[1]


def test_a_cubin_runs_on_the_gpu_that_it_is_for(tmp_path):
    body, expected = ARITHMETIC["carry"]
    ptx = write(tmp_path, body + "st.global.u32 [%mine], %a0;")
    answers = {}
    for architecture in ("sm_80", "sm_90"):
        cubin = tmp_path / f"{architecture}.cubin"
        subprocess.run([os.environ["SIM_PTXAS"], f"-arch={architecture}", ptx, "-o", cubin], check=True)
        answers[architecture] = launch(tmp_path, cubin)
    assert said(answers["sm_80"]) == said(launch(tmp_path, ptx))
    assert said(answers["sm_80"])["memory"] == [expected(t) for t in range(32)]
    # CUDA_ERROR_NO_BINARY_FOR_GPU
    assert "cuModuleLoadDataEx returned 209" in answers["sm_90"].stderr


CHASE = (
    "mov.u32 %a0, 0;"
    + "mul.wide.u32 %b0, %a0, 4; add.s64 %b0, %b0, %base; ld.global.cg.u32 %a0, [%b0]; add.u32 %a0, %a0, 64;" * 8
    + "st.global.u32 [%base], %a0;"
)


def test_loads_that_wait_for_each_other_take_the_latency_of_l2_and_cycles_repeat(tmp_path):
    first = run(tmp_path, CHASE, threads=1, words=1024)
    assert said(first)["memory"][0] == 8 * 64
    slower = cycles_of(run(tmp_path, CHASE, threads=1, words=1024, SIM_L2="1262"))
    assert slower == cycles_of(first) + 8 * 1000
    assert 8 * 262 < cycles_of(first) < 8 * 400
    assert cycles_of(run(tmp_path, CHASE, threads=1, words=1024, SIM_THREADS="1")) == cycles_of(first)


def test_a_wrong_kernel_is_noticed(tmp_path):
    """One of the twin's mutants writes beyond the answer. As the kernels stand, they solve the same problems."""
    (mutant,) = (one for one in mutants.MUTANTS if "row_of_col[col + 1]" in one.after)
    kernels = mutants.write(mutant, tmp_path)
    ptx = tmp_path / "mutant.ptx"
    simulator.compile_kernels(kernels, ptx)
    command = [os.environ["HUNGARIAN_GPU_BATCH"], "2x8x8"]
    cache = {"SIM_CACHE": str(tmp_path / "cache")}
    for settings, is_wrong in [({}, False), ({"SIM_PTX": str(ptx)}, True)]:
        environment = {**simulator.environment("a100", settings), **cache}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (ended.returncode != 0) == is_wrong, ended.stdout + ended.stderr
        assert ("not within a buffer: address" in ended.stderr) == is_wrong, ended.stderr
