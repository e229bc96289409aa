// residual[row] += delta[row] (where there is a delta); out[row] = residual/rms(residual)·weight in bf16.
// The residual stream is f32: adding it up in bf16 over many layers loses what a tolerance has to cover.
// One CTA of 256 a row; hidden is a multiple of 8.
#include "block.cuh"

constexpr u32 THREADS = 256;

extern "C" __global__ void __launch_bounds__(THREADS)
    rmsnorm(float* residual, const u16* delta, const float* weight, u16* out, u32 hidden, float epsilon) {
    __shared__ float parts[THREADS / WARP];
    const u64 start = u64(blockIdx.x) * hidden;
    float4* row = reinterpret_cast<float4*>(residual + start);
    float squares = 0.0f;
    for (u32 i = threadIdx.x; i < hidden / 4; i += THREADS) {
        float4 x = row[i];
        if (delta != nullptr) {
            const uint2 added = reinterpret_cast<const uint2*>(delta + start)[i];
            x.x += low_half(added.x), x.y += high_half(added.x);
            x.z += low_half(added.y), x.w += high_half(added.y);
            row[i] = x;
        }
        squares += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
    }
    const float scale = 1.0f / sqrtf(block_sum<THREADS>(squares, parts) / float(hidden) + epsilon);
    for (u32 i = threadIdx.x; i < hidden / 4; i += THREADS) {
        const float4 x = row[i];
        const float4 w = reinterpret_cast<const float4*>(weight)[i];
        const uint2 words = make_uint2(pack_bf16(x.x * scale * w.x, x.y * scale * w.y),
                                       pack_bf16(x.z * scale * w.z, x.w * scale * w.w));
        reinterpret_cast<uint2*>(out + start)[i] = words;
    }
}
