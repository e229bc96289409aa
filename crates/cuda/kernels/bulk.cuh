// Hopper's bulk copy engine (sm_90): boxes of a tensor into shared memory, arriving at a barrier there.
#pragma once
#include "common.cuh"

// Describes a tensor in memory to the copy engine; made by the host (runtime/tensor.rs), a kernel's argument.
struct alignas(64) TensorMap {
    unsigned char bytes[128];
};

// A barrier in shared memory (8 bytes at `address`). A phase ends when `arrivals` have come and all bytes that
// were announced have arrived.
__device__ __forceinline__ void init_barrier(u32 address, u32 arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address), "r"(arrivals) : "memory");
}

// Makes barriers just made visible to the copy engine.
__device__ __forceinline__ void show_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void arrive_at(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Arrives, and announces bytes that copies will bring.
__device__ __forceinline__ void expect_bytes(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// Waits until the phase of that parity has ended. The first phase's parity is 0; before it, 1 counts as ended.
__device__ __forceinline__ void wait_at(u32 barrier, u32 parity) {
    asm volatile(
        "{\n.reg .pred done;\n"
        "again:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra ended;\nbra again;\nended:\n}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

// A box of the tensor at coordinates (x, y, z), to `to` in the layout that the map names.
__device__ __forceinline__ void copy_box(u32 to, const TensorMap& map, u32 barrier, u32 x, u32 y, u32 z) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to),
        "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z)
        : "memory");
}

__device__ __forceinline__ void copy_box(u32 to, const TensorMap& map, u32 barrier, u32 x, u32 y, u32 z, u32 u,
                                         u32 v) {
    asm volatile(
        "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(to),
        "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z), "r"(u), "r"(v)
        : "memory");
}
