// What every kernel shares: short names, bf16 without any CUDA header, reductions, the shape of a slice.
#pragma once

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Tokens in a block, as in crates/kv/src/layout.rs.
constexpr u32 BLOCK_TOKENS = 64;
constexpr u32 WARP = 32;
constexpr u32 EVERY_LANE = 0xffffffffu;
// A row or slot that takes no part.
constexpr u32 NONE = 0xffffffffu;

__device__ __forceinline__ float negative_infinity() { return __int_as_float(0xff800000); }

// Two bf16 in a word: the first in memory is the low half.
__device__ __forceinline__ float low_half(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_half(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }
__device__ __forceinline__ float from_bf16(u16 value) { return __uint_as_float(u32(value) << 16); }

__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

__device__ __forceinline__ u16 to_bf16(float value) { return u16(pack_bf16(value, 0.0f)); }

// 2^x to two units in the last place, 0 for −∞. exp2f would handle subnormal results too, which no softmax
// needs, at three times the instructions.
__device__ __forceinline__ float power_of_two(float x) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) value += __shfl_xor_sync(EVERY_LANE, value, step);
    return value;
}

// A slice is K then V of one layer of one block, each [token][kv head][dim].
__device__ __forceinline__ u64 slice_elements(u32 kv_heads, u32 head_dim) {
    return u64(2) * BLOCK_TOKENS * kv_heads * head_dim;
}
