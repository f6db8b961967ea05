"""Times the Triton kernel of torch-linear-assignment on the batches that gpu-check times, on the same GPU.

Usage: python time_peer.py FOLDER

FOLDER holds the unpacked source of torch-linear-assignment 0.1.0. Where there is PyTorch, the package's own function is timed, with all
that it does around the kernel; where there are only Triton and CuPy, the kernel alone. Exits with 77 where something is missing.
"""

import importlib.util
import pathlib
import sys
import types

SKIPPED = 77
RUNS = 25
SHAPES = [(32, 100, 100), (208, 300, 100), (208, 300, 300), (208, 300, 600), (4096, 16, 16)]


def skip(reason: str) -> None:
    """Ends the program."""
    print(f"SKIPPED, torch-linear-assignment was not timed: {reason}", flush=True)
    sys.exit(SKIPPED)


def has(module: str) -> bool:
    """Can it be imported?"""
    return importlib.util.find_spec(module) is not None


def uniform(shape):
    """Costs as gpu-check's are: uniform f32."""
    import numpy as np

    return np.random.default_rng(3).random(shape, np.float32)


def say(shape, times, what, device):
    """One row, as those of gpu-check."""
    times = sorted(times[RUNS // 5 :])
    sizes = " x ".join(map(str, shape))
    print(f"  peer | time f32 {sizes} | {what} {times[len(times) // 2]:.3f} ({times[0]:.3f}) | {device}", flush=True)


def hold(costs, row_to_col):
    """Holds some of the answers to SciPy's."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    for cost, cols in list(zip(costs, row_to_col, strict=True))[:3]:
        best = cost[linear_sum_assignment(cost)].sum(dtype=np.float64)
        got = cost[np.arange(len(cost))[cols >= 0], cols[cols >= 0]].sum(dtype=np.float64)
        assert abs(got - best) <= 1e-4 * max(1.0, best), f"a total of {got}, SciPy has {best}"


def with_torch(folder: pathlib.Path) -> None:
    """The package's own function."""
    import torch

    sys.path.insert(0, str(folder))
    from torch_linear_assignment import batch_linear_assignment

    device = torch.cuda.get_device_name()
    for shape in SHAPES:
        print(f"time {shape} ...", flush=True)
        costs = uniform(shape)
        on_device = torch.from_numpy(costs).cuda()
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        times = []
        for _ in range(RUNS):
            before.record()
            answer = batch_linear_assignment(on_device)
            after.record()
            after.synchronize()
            times.append(before.elapsed_time(after))
        hold(costs, answer.cpu().numpy())
        say(shape, times, "torch-linear-assignment, whole call", device)


def kernel_of(folder: pathlib.Path):
    """The kernel's source. Its module wants PyTorch for the names of types only."""
    stub = types.ModuleType("torch")
    stub.Tensor = object
    sys.modules["torch"] = stub
    try:
        path = folder / "torch_linear_assignment" / "_triton.py"
        spec = importlib.util.spec_from_file_location("peer_kernel", path)
        module = importlib.util.module_from_spec(spec)
        # Triton looks a kernel's globals up there.
        sys.modules["peer_kernel"] = module
        spec.loader.exec_module(module)
    finally:
        del sys.modules["torch"]
    return module._linear_assignment_kernel


def compile_for(kernel, capability: int, rows: int, cols: int):
    """The kernel as the package launches it: one warp for each problem."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    pointers = {"cost": "*fp32", "u": "*fp32", "v": "*fp32", "col4row": "*i32", "row4col": "*i32", "infeasible": "*i32"}
    constants = {"NUM_ROWS": rows, "NUM_COLUMNS": cols, "BLOCK_N": triton.next_power_of_2(cols), "IS_FP64": False}
    signature = {**pointers, **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(kernel, signature, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 1})
    # What Triton adds to the arguments is not needed by this kernel: null pointers.
    entry = compiled.asm["ptx"].split(".entry", maxsplit=1)[1].split(")", maxsplit=1)[0]
    return compiled, entry.count(".param") - len(pointers)


def with_cupy(folder: pathlib.Path) -> None:
    """The kernel alone."""
    import cupy
    import numpy as np

    kernel = kernel_of(folder)
    device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    capability = int(cupy.cuda.Device().compute_capability)
    for shape in SHAPES:
        print(f"time {shape} ...", flush=True)
        costs = uniform(shape)
        # As the package does: no more rows than columns.
        if shape[1] > shape[2]:
            costs = np.ascontiguousarray(costs.swapaxes(1, 2))
        problems, rows, cols = costs.shape
        compiled, added = compile_for(kernel, capability, rows, cols)
        module = cupy.cuda.function.Module()
        module.load(compiled.asm["cubin"])
        function = module.get_function(compiled.metadata.name)
        on_device = cupy.asarray(costs)
        before, after = cupy.cuda.Event(), cupy.cuda.Event()
        times = []
        for _ in range(RUNS):
            duals = [cupy.zeros((problems, size), np.float32) for size in (rows, cols)]
            matched = [cupy.full((problems, size), -1, np.int32) for size in (rows, cols)]
            arguments = [on_device, *duals, *matched, cupy.zeros(problems, np.int32), *[np.uint64(0)] * added]
            before.record()
            function((problems, 1, 1), (32, 1, 1), arguments, shared_mem=compiled.metadata.shared)
            after.record()
            after.synchronize()
            times.append(cupy.cuda.get_elapsed_time(before, after))
        hold(costs, matched[0].get())
        say(shape, times, "torch-linear-assignment, its kernel alone", device)


def main() -> None:
    """Takes what is there."""
    (folder,) = map(pathlib.Path, sys.argv[1:])
    if not (folder / "torch_linear_assignment" / "_triton.py").is_file():
        skip(f"its source is not in {folder}")
    if not has("triton"):
        skip("there is no Triton here")
    if has("torch"):
        with_torch(folder)
    elif has("cupy"):
        with_cupy(folder)
    else:
        skip("there is neither PyTorch nor CuPy here")


if __name__ == "__main__":
    main()
