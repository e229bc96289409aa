// residual[row] = table[token of row], bf16 → f32. One CTA a row; hidden is a multiple of 8.
#include "common.cuh"

extern "C" __global__ void embedding(const u32* tokens, const u16* table, float* residual, u32 hidden) {
    const u32 row = blockIdx.x;
    const uint4* from = reinterpret_cast<const uint4*>(table + u64(tokens[row]) * hidden);
    float4* to = reinterpret_cast<float4*>(residual + u64(row) * hidden);
    for (u32 i = threadIdx.x; i < hidden / 8; i += blockDim.x) {
        const uint4 words = from[i];
        to[2 * i] = make_float4(low_half(words.x), high_half(words.x), low_half(words.y), high_half(words.y));
        to[2 * i + 1] =
            make_float4(low_half(words.z), high_half(words.z), low_half(words.w), high_half(words.w));
    }
}
