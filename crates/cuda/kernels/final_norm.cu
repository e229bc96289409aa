// out[i] = x/rms(x)·weight in bf16 of x = residual[rows[i]] + delta[rows[i]]: only rows whose logits are wanted.
// Writes nothing back, so it may be asked for again. One CTA of 256 a row; hidden is a multiple of 8.
#include "block.cuh"

constexpr u32 THREADS = 256;

__device__ __forceinline__ float4 element(const float* residual, const u16* delta, u32 i) {
    float4 x = reinterpret_cast<const float4*>(residual)[i];
    const uint2 added = reinterpret_cast<const uint2*>(delta)[i];
    x.x += low_half(added.x), x.y += high_half(added.x);
    x.z += low_half(added.y), x.w += high_half(added.y);
    return x;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    final_norm(const float* residual, const u16* delta, const u32* rows, const float* weight, u16* out,
               u32 hidden, float epsilon) {
    __shared__ float parts[THREADS / WARP];
    const u64 start = u64(rows[blockIdx.x]) * hidden;
    residual += start, delta += start;
    float squares = 0.0f;
    for (u32 i = threadIdx.x; i < hidden / 4; i += THREADS) {
        const float4 x = element(residual, delta, i);
        squares += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
    }
    const float scale = 1.0f / sqrtf(block_sum<THREADS>(squares, parts) / float(hidden) + epsilon);
    for (u32 i = threadIdx.x; i < hidden / 4; i += THREADS) {
        const float4 x = element(residual, delta, i);
        const float4 w = reinterpret_cast<const float4*>(weight)[i];
        const uint2 words = make_uint2(pack_bf16(x.x * scale * w.x, x.y * scale * w.y),
                                       pack_bf16(x.z * scale * w.z, x.w * scale * w.w));
        reinterpret_cast<uint2*>(out + u64(blockIdx.x) * hidden)[i] = words;
    }
}
