// A row of the residual stream, held in registers by a CTA of NORM_THREADS, and its RMS norm. All loads are under
// way at once: with few rows a norm is nothing but waiting for memory.
// hidden is a multiple of 8 and at most VECTORS · 2,048. The fewer registers a row takes, the more rows a
// multiprocessor has under way: an instance for each of three sizes.
#pragma once
#include "block.cuh"

constexpr u32 NORM_THREADS = 512;

// VECTORS of four elements a thread.
template <u32 VECTORS>
struct NormRow {
    float4 x[VECTORS], weight[VECTORS];
    u32 hidden;

    __device__ __forceinline__ static u32 at(u32 i) { return i * NORM_THREADS + threadIdx.x; }
    __device__ __forceinline__ bool has(u32 i) const { return at(i) < hidden / 4; }

    // x = residual + delta, where there is a delta.
    __device__ __forceinline__ NormRow(const float* residual, const u16* delta, const float* weights, u32 hidden)
        : hidden(hidden) {
        uint2 added[VECTORS];
#pragma unroll
        for (u32 i = 0; i < VECTORS; ++i) {
            x[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f), added[i] = make_uint2(0, 0);
            if (!has(i)) continue;
            x[i] = reinterpret_cast<const float4*>(residual)[at(i)];
            weight[i] = reinterpret_cast<const float4*>(weights)[at(i)];
            if (delta != nullptr) added[i] = reinterpret_cast<const uint2*>(delta)[at(i)];
        }
#pragma unroll
        for (u32 i = 0; i < VECTORS; ++i) {
            x[i].x += low_half(added[i].x), x[i].y += high_half(added[i].x);
            x[i].z += low_half(added[i].y), x[i].w += high_half(added[i].y);
        }
    }

    __device__ __forceinline__ void store(float* residual) const {
#pragma unroll
        for (u32 i = 0; i < VECTORS; ++i)
            if (has(i)) reinterpret_cast<float4*>(residual)[at(i)] = x[i];
    }

    // out = x / rms(x) · weight.
    __device__ __forceinline__ void write(u16* out, float epsilon) const {
        __shared__ float parts[NORM_THREADS / WARP];
        float squares = 0.0f;
#pragma unroll
        for (u32 i = 0; i < VECTORS; ++i)
            squares += x[i].x * x[i].x + x[i].y * x[i].y + x[i].z * x[i].z + x[i].w * x[i].w;
        const float mean = block_sum<NORM_THREADS>(squares, parts) / float(hidden);
        const float scale = 1.0f / sqrtf(mean + epsilon);
#pragma unroll
        for (u32 i = 0; i < VECTORS; ++i)
            if (has(i))
                reinterpret_cast<uint2*>(out)[at(i)] =
                    make_uint2(pack_bf16(x[i].x * scale * weight[i].x, x[i].y * scale * weight[i].y),
                               pack_bf16(x[i].z * scale * weight[i].z, x[i].w * scale * weight[i].w));
    }
};

#define NORM_INSTANCES(KERNEL) KERNEL(2) KERNEL(4) KERNEL(8)
