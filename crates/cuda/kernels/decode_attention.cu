// Decode attention over blocks, split over keys. FlashDecoding's split (Dao et al. 2023), the keys
// block-relative: the query is rotated once a block by (its position − the block's start).
//
// CTA = (kv head, split, row); a warp takes every fourth block of the split. The heads of a KV group are the
// rows of one 16×16 tensor-core tile (at most 8), so K and V are read once for all of them. K and V go
// straight from memory to registers: a product may sum its terms in any order, so each lane's elements are
// chosen such that they are contiguous in memory. Several splits are joined by combine_splits.cu.
#include "mma.cuh"

constexpr u32 WARPS = 4;
constexpr u32 TILE = 16;  // keys a step of a warp
constexpr u32 TILES = BLOCK_TOKENS / TILE;
constexpr u32 GROUP = 8;  // most query heads of a KV head

template <u32 ELEMENTS>
struct Vector;
template <>
struct Vector<8> {
    using Type = uint4;
};
template <>
struct Vector<4> {
    using Type = uint2;
};

template <u32 D>
struct Decoder {
    // Contiguous elements a lane loads: 16 bytes where the halves that RoPE pairs stay in one lane.
    static constexpr u32 RUN = D % 64 == 0 ? 8 : 4;
    static constexpr u32 WORDS = RUN / 2;
    static constexpr u32 CHUNKS = D / (4 * RUN);  // of a key row, over the four lanes of a key
    static constexpr u32 GROUPS = D / (8 * RUN);  // of a value row, over the eight lanes of a value
    using Load = typename Vector<RUN>::Type;

    union Run {
        Load load;
        u32 word[WORDS];
    };

    const u16* layer;
    u32 kv_heads, kv_head, length;
    Run query[CHUNKS], keys[2][CHUNKS], values[4][GROUPS];
    float out[GROUPS][RUN][2], most, total;

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (u32 u = 0; u < GROUPS; ++u)
#pragma unroll
            for (u32 j = 0; j < RUN; ++j) out[u][j][0] = out[u][j][1] = 0.0f;
        most = negative_infinity(), total = 0.0f;
    }

    // query = R(turns)·q, from the table's row for that many positions. q is read again each time: it stays
    // in the L1 cache, and registers are what limits the loads in flight. Rows beyond the group are zero.
    __device__ __forceinline__ void rotate(const u16* q, u32 group, const float2* turns, u32 lane) {
        const Load* row = reinterpret_cast<const Load*>(q + lane / 4 * D + lane % 4 * RUN);
#pragma unroll
        for (u32 c = 0; c < CHUNKS / 2; ++c) {
            Run first, second;
            first.load = second.load = Load{};
            if (lane / 4 < group) first.load = row[c * 4], second.load = row[(c + CHUNKS / 2) * 4];
            const float4* turn = reinterpret_cast<const float4*>(turns + (c * 4 + lane % 4) * RUN);
#pragma unroll
            for (u32 w = 0; w < WORDS; ++w) {
                const u32 a = first.word[w], b = second.word[w];
                const float4 cs = turn[w];
                query[c].word[w] = pack_bf16(low_half(a) * cs.x - low_half(b) * cs.y,
                                             high_half(a) * cs.z - high_half(b) * cs.w);
                query[c + CHUNKS / 2].word[w] = pack_bf16(low_half(b) * cs.x + low_half(a) * cs.y,
                                                          high_half(b) * cs.z + high_half(a) * cs.w);
            }
        }
    }

    __device__ __forceinline__ const u16* row_of(u32 slot, u32 part, u32 key) const {
        return layer + slot * slice_elements(kv_heads, D) +
               (u64(part * BLOCK_TOKENS + key % BLOCK_TOKENS) * kv_heads + kv_head) * D;
    }

    // Lane (g, t) takes runs t of keys g and g + 8. Keys beyond the length are never read.
    __device__ __forceinline__ void load_keys(u32 slot, u32 first, u32 lane) {
#pragma unroll
        for (u32 n = 0; n < 2; ++n) {
            const u32 key = first + n * 8 + lane / 4;
            const u16* row = row_of(slot, 0, key) + lane % 4 * RUN;
#pragma unroll
            for (u32 c = 0; c < CHUNKS; ++c) {
                keys[n][c].load = Load{};
                if (key < length) keys[n][c].load = *reinterpret_cast<const Load*>(row + c * 4 * RUN);
            }
        }
    }

    // Lane (g, t) takes runs g of keys 2t, 2t+1, 2t+8, 2t+9: those whose weights it will hold.
    __device__ __forceinline__ void load_values(u32 slot, u32 first, u32 lane) {
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const u32 key = first + lane % 4 * 2 + i % 2 + i / 2 * 8;
            const u16* row = row_of(slot, 1, key) + lane / 4 * RUN;
#pragma unroll
            for (u32 u = 0; u < GROUPS; ++u) {
                values[i][u].load = Load{};
                if (key < length) values[i][u].load = *reinterpret_cast<const Load*>(row + u * 8 * RUN);
            }
        }
    }

    // score[n] = query row g against keys 2t, 2t+1 of the n-th eight.
    __device__ __forceinline__ void score_tile(float score[2][2], u32 first, float scale, u32 lane) {
#pragma unroll
        for (u32 n = 0; n < 2; ++n) {
            score[n][0] = score[n][1] = 0.0f;
#pragma unroll
            for (u32 c = 0; c < CHUNKS; ++c)
#pragma unroll
                for (u32 w = 0; w < WORDS; w += 2)
                    mma_upper(score[n][0], score[n][1], query[c].word[w], query[c].word[w + 1],
                              keys[n][c].word[w], keys[n][c].word[w + 1]);
            const u32 key = first + n * 8 + lane % 4 * 2;
            score[n][0] = key < length ? score[n][0] * scale : negative_infinity();
            score[n][1] = key + 1 < length ? score[n][1] * scale : negative_infinity();
        }
    }

    // Online softmax: scores become weights, what was summed before is rescaled.
    __device__ __forceinline__ void weigh(float score[2][2]) {
        float tile = fmaxf(fmaxf(score[0][0], score[0][1]), fmaxf(score[1][0], score[1][1]));
        tile = fmaxf(tile, __shfl_xor_sync(EVERY_LANE, tile, 1));
        tile = fmaxf(tile, __shfl_xor_sync(EVERY_LANE, tile, 2));
        const float next = fmaxf(most, tile), shrink = power_of_two(most - next);
        most = next, total *= shrink;
#pragma unroll
        for (u32 n = 0; n < 2; ++n)
#pragma unroll
            for (u32 i = 0; i < 2; ++i) total += score[n][i] = power_of_two(score[n][i] - next);
#pragma unroll
        for (u32 u = 0; u < GROUPS; ++u)
#pragma unroll
            for (u32 j = 0; j < RUN; ++j) out[u][j][0] *= shrink, out[u][j][1] *= shrink;
    }

    __device__ __forceinline__ void add_values(const float weight[2][2]) {
        const u32 a0 = pack_bf16(weight[0][0], weight[0][1]), a2 = pack_bf16(weight[1][0], weight[1][1]);
#pragma unroll
        for (u32 u = 0; u < GROUPS; ++u)
#pragma unroll
            for (u32 j = 0; j < RUN; ++j) {
                const u32 halves = j % 2 == 0 ? 0x5410 : 0x7632, w = j / 2;
                const u32 b0 = __byte_perm(values[0][u].word[w], values[1][u].word[w], halves);
                const u32 b1 = __byte_perm(values[2][u].word[w], values[3][u].word[w], halves);
                mma_upper(out[u][j][0], out[u][j][1], a0, a2, b0, b1);
            }
    }
};

template <u32 D>
struct WarpResults {
    float out[WARPS][GROUP][D];
    float most[WARPS][GROUP], total[WARPS][GROUP];
};

// One group's result of this split: the warps' results, brought to one maximum. Where it is the only split it is the
// output.
template <u32 D>
__device__ __forceinline__ void write_results(const WarpResults<D>& results, u32 group, u16* out, float* partial,
                                              float2* partial_scale) {
    for (u32 i = threadIdx.x; i < group * D; i += WARPS * WARP) {
        const u32 head = i / D, dim = i % D;
        float most = negative_infinity(), sum = 0.0f, total = 0.0f;
#pragma unroll
        for (u32 w = 0; w < WARPS; ++w) most = fmaxf(most, results.most[w][head]);
#pragma unroll
        for (u32 w = 0; w < WARPS; ++w) {
            const float weight = power_of_two(results.most[w][head] - most);
            sum += weight * results.out[w][head][dim], total += weight * results.total[w][head];
        }
        if (gridDim.y == 1) {
            out[i] = to_bf16(sum * (1.0f / total));
        } else {
            partial[i] = sum;
            if (dim == 0) partial_scale[head] = make_float2(most, total);
        }
    }
}

template <u32 D>
__device__ __forceinline__ void decode(const u16* q, const u16* layer, const u32* block_slots,
                                       const u32* table_starts, const u32* positions, const float2* table,
                                       u16* out, float* partial, float2* partial_scale, u32 heads,
                                       u32 kv_heads, u32 blocks_per_split, float scale) {
    __shared__ WarpResults<D> results;
    const u32 kv_head = blockIdx.x, split = blockIdx.y, row = blockIdx.z;
    const u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, group = heads / kv_heads;
    const u32 position = positions[row];
    out += (u64(row) * heads + kv_head * group) * D;
    if (position == NONE && gridDim.y == 1)
        for (u32 i = threadIdx.x; i < group * D; i += WARPS * WARP) out[i] = 0;
    if (position == NONE || split * blocks_per_split * BLOCK_TOKENS > position) return;
    const u32 last = min((split + 1) * blocks_per_split, position / BLOCK_TOKENS + 1);
    const u32* slots = block_slots + table_starts[row];

    Decoder<D> state{layer, kv_heads, kv_head, position + 1};
    state.clear();
    const u16* queries = q + (u64(row) * heads + kv_head * group) * D;
    u32 block = split * blocks_per_split + warp;
    if (block < last) {
        u32 slot = slots[block], tile = 0;
        u32 next_slot = block + WARPS < last ? slots[block + WARPS] : slot;
        state.load_keys(slot, block * BLOCK_TOKENS, lane);
        state.load_values(slot, block * BLOCK_TOKENS, lane);
        while (block < last) {
            const u32 first = block * BLOCK_TOKENS + tile * TILE;
            if (tile == 0) {
                state.rotate(queries, group, table + u64(position - block * BLOCK_TOKENS) * (D / 2), lane);
            }
            if (++tile == TILES || first + TILE > position) {
                tile = 0, block += WARPS, slot = next_slot;
                if (block + WARPS < last) next_slot = slots[block + WARPS];
            }
            const u32 next = block < last ? block * BLOCK_TOKENS + tile * TILE : position + 1;
            float score[2][2];
            state.score_tile(score, first, scale, lane);
            state.load_keys(slot, next, lane);
            state.weigh(score);
            state.add_values(score);
            state.load_values(slot, next, lane);
        }
    }

    state.total += __shfl_xor_sync(EVERY_LANE, state.total, 1);
    state.total += __shfl_xor_sync(EVERY_LANE, state.total, 2);
    const u32 g = lane / 4, t = lane % 4;
    results.most[warp][g] = state.most, results.total[warp][g] = state.total;
#pragma unroll
    for (u32 u = 0; u < Decoder<D>::GROUPS; ++u)
#pragma unroll
        for (u32 j = 0; j < Decoder<D>::RUN; ++j)
#pragma unroll
            for (u32 i = 0; i < 2; ++i)
                results.out[warp][g][(u * 8 + 2 * t + i) * Decoder<D>::RUN + j] = state.out[u][j][i];
    __syncthreads();
    const u64 place = (u64(row) * gridDim.y + split) * heads + kv_head * group;
    write_results<D>(results, group, out, partial + place * D, partial_scale + place);
}

#define DECODE_ATTENTION(D)                                                                                  \
    extern "C" __global__ void __launch_bounds__(WARPS* WARP, D == 128 ? 2 : 3) decode_attention_##D(                       \
        const u16* q, const u16* layer, const u32* block_slots, const u32* table_starts,                     \
        const u32* positions, const float2* table, u16* out, float* partial, float2* partial_scale,          \
        u32 heads, u32 kv_heads, u32 blocks_per_split, float scale) {                                        \
        decode<D>(q, layer, block_slots, table_starts, positions, table, out, partial, partial_scale, heads, \
                  kv_heads, blocks_per_split, scale);                                                        \
    }

DECODE_ATTENTION(64)
DECODE_ATTENTION(96)
DECODE_ATTENTION(128)
