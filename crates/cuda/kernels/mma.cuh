// Tensor-core products, matrix loads from shared memory and asynchronous copies (sm_80 and later).
#pragma once
#include "common.cuh"

// c += a·b, a 16×16 bf16 by rows, b 16×8 by columns. Lane (g = lane/4, t = lane%4) holds
// a: rows g, g+8 × columns 2t, 2t+8; b: rows 2t, 2t+8 of column g; c: rows g, g+8 × columns 2t, 2t+1.
__device__ __forceinline__ void mma(float c[4], const u32 a[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same where rows 8 to 15 of a are zero: their results are dropped, so they cost no registers.
__device__ __forceinline__ void mma_upper(float& c0, float& c1, u32 a0, u32 a2, u32 b0, u32 b1) {
    [[maybe_unused]] float unused2, unused3;
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%5}, {%7,%8}, "
        "{%0,%1,%9,%9};"
        : "+f"(c0), "+f"(c1), "=f"(unused2), "=f"(unused3)
        : "r"(a0), "r"(0), "r"(a2), "r"(b0), "r"(b1), "f"(0.0f));
}

// Four 8×8 matrices from shared memory; lane l gives the address of row l%8 of matrix l/8.
__device__ __forceinline__ void load_matrices(u32 out[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(u32 out[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

__device__ __forceinline__ u32 shared_address(const void* pointer) {
    return u32(__cvta_generic_to_shared(pointer));
}

// 16 bytes to shared memory beside the computation; zeros, and nothing read, if not `wanted`.
__device__ __forceinline__ void copy_or_zero(u32 to, const void* from, bool wanted) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(wanted ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
__device__ __forceinline__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
