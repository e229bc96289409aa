// out[row][i] = silu(gate)·up, from the fused product's rows [gate | up]. Width is a multiple of 8.
#include "common.cuh"

__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }

__device__ __forceinline__ u32 silu_mul_pair(u32 gate, u32 up) {
    return pack_bf16(silu(low_half(gate)) * low_half(up), silu(high_half(gate)) * high_half(up));
}

extern "C" __global__ void silu_mul(const u16* gate_up, u16* out, u32 width) {
    const u32 i = blockIdx.y * blockDim.x + threadIdx.x;
    if (i >= width / 8) return;
    const u64 row = blockIdx.x;
    const uint4 gate = reinterpret_cast<const uint4*>(gate_up + row * 2 * width)[i];
    const uint4 up = reinterpret_cast<const uint4*>(gate_up + row * 2 * width + width)[i];
    reinterpret_cast<uint4*>(out + row * width)[i] =
        make_uint4(silu_mul_pair(gate.x, up.x), silu_mul_pair(gate.y, up.y), silu_mul_pair(gate.z, up.z),
                   silu_mul_pair(gate.w, up.w));
}
