// Prefill attention for Hopper at head dim 128, over keys rotated once (dense), after FlashAttention-3 (Shah
// et al. 2024): a warpgroup's next scores are computed while its softmax waits for nothing, and the products
// with V run beside the softmax.
//
// CTA = (kv head, tile of query rows, split of the keys), two warpgroups of 64 rows each over tiles of 128
// keys. K of tile j and V of tile j − 1 arrive together, one step ahead.
#include "prefill.cuh"
#include "wgmma.cuh"

constexpr u32 D = 128;
constexpr u32 GROUPS = 2;
constexpr u32 GROUP_THREADS = 4 * WARP;
constexpr u32 THREADS = GROUPS * GROUP_THREADS;
constexpr u32 GROUP_ROWS = 64;
constexpr u32 ROWS = GROUPS * GROUP_ROWS;
constexpr u32 KEYS = 2 * BLOCK_TOKENS;
constexpr u32 VECTORS = D / 8;
constexpr u32 TILE_BYTES = KEYS * D * 2;
constexpr u32 PART_BYTES = KEYS * PART_ROW_BYTES;
static_assert(ROWS == KEYS, "queries and keys lie in tiles of one shape");

struct Hopper {
    const Problem& problem;
    const QueryTile& tile;
    u32 queries, keys, values;  // addresses in shared memory; keys and values have two stages
    u32 kv_head, group, first_block, end_block;
    u32 own_row;  // of the lane: the first of its two
    float out[64], score[64], most[2], total[2];
    u32 weights[KEYS / 16][4];

    __device__ __forceinline__ u32 tiles() const { return (end_block - first_block + 1) / 2; }
    __device__ __forceinline__ u32 first_key(u32 j) const { return (first_block + 2 * j) * BLOCK_TOKENS; }
    __device__ __forceinline__ bool seen(u32 key) const {
        return key < tile.position + tile.tokens && key < end_block * BLOCK_TOKENS;
    }

    __device__ __forceinline__ void fetch_keys(u32 j) {
        const u64 row_elements = u64(problem.kv_heads) * D;
#pragma unroll
        for (u32 i = 0; i < KEYS * VECTORS / THREADS; ++i) {
            const u32 at = i * THREADS + threadIdx.x, row = at / VECTORS, column = at % VECTORS * 8;
            const u32 key = first_key(j) + row;
            const u16* from = problem.scratch + key * row_elements + kv_head * D + column;
            copy_or_zero(keys + j % 2 * TILE_BYTES + swizzled(KEYS, row, column), from, seen(key));
        }
    }

    // Zeros for keys that no query of the tile may see: 0 × NaN would be NaN.
    __device__ __forceinline__ void fetch_values(u32 j) {
        const u64 row_elements = u64(problem.kv_heads) * D;
        const u32 block = first_block + 2 * j, second = min(block + 1, end_block - 1);
        const u32* slots = problem.block_slots + tile.table_start;
        const u64 slice = slice_elements(problem.kv_heads, D);
        const u16* starts[2] = {problem.layer + slots[block] * slice, problem.layer + slots[second] * slice};
#pragma unroll
        for (u32 i = 0; i < KEYS * VECTORS / THREADS; ++i) {
            const u32 at = i * THREADS + threadIdx.x, row = at / VECTORS, column = at % VECTORS * 8;
            const u16* from = starts[i * THREADS / VECTORS / BLOCK_TOKENS] +
                              (BLOCK_TOKENS + row % BLOCK_TOKENS) * row_elements + kv_head * D + column;
            const bool wanted = seen(first_key(j) + row);
            copy_or_zero(values + j % 2 * TILE_BYTES + swizzled(KEYS, row, column), from, wanted);
        }
    }

    // What step j computes with: V of the tile before and K of its own.
    __device__ __forceinline__ void fetch(u32 j) {
        if (j > 0) fetch_values(j - 1);
        if (j < tiles()) fetch_keys(j);
        commit_copies();
    }

    __device__ __forceinline__ void arrive() {
        wait_for_copies();
        show_writes_to_products();
        __syncthreads();
    }

    __device__ __forceinline__ void load_queries() {
        constexpr u32 PAIRS = D / 8;  // vectors of four pairs in a row
        for (u32 i = threadIdx.x; i < ROWS * PAIRS; i += THREADS) {
            const u32 row = i / PAIRS, pair = i % PAIRS * 4;
            const u32 token = row / group, head = kv_head * group + row % group;
            uint2 low = make_uint2(0, 0), high = make_uint2(0, 0);
            if (token < tile.tokens) {
                const u16* from = problem.q + (u64(tile.first_row + token) * problem.heads + head) * D + pair;
                const float4* turn = reinterpret_cast<const float4*>(
                    problem.table + u64(tile.position + token) * (D / 2) + pair);
                const uint2 a = *reinterpret_cast<const uint2*>(from);
                const uint2 b = *reinterpret_cast<const uint2*>(from + D / 2);
                turn_pair(a.x, b.x, turn[0], low.x, high.x);
                turn_pair(a.y, b.y, turn[1], low.y, high.y);
            }
            store_pair(queries + swizzled(ROWS, row, pair), low);
            store_pair(queries + swizzled(ROWS, row, pair + D / 2), high);
        }
    }

    __device__ static __forceinline__ void store_pair(u32 address, uint2 words) {
        asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(address), "r"(words.x), "r"(words.y) : "memory");
    }

    // Starts score = queries · keysᵀ of tile j.
    __device__ __forceinline__ void start_scores(u32 j) {
        const u32 own = queries + threadIdx.x / GROUP_THREADS * GROUP_ROWS * PART_ROW_BYTES;
        const u32 stage = keys + j % 2 * TILE_BYTES;
#pragma unroll
        for (u32 k = 0; k < D / 16; ++k) {
            const u32 offset = k / 4 * PART_BYTES + k % 4 * 32;
            warpgroup_mma_rows(score, describe(own + offset, 0), describe(stage + offset, 0), k > 0);
        }
        commit_products();
    }

    // Starts out += weights · values of tile j.
    __device__ __forceinline__ void start_values(u32 j) {
        const u32 stage = values + j % 2 * TILE_BYTES;
#pragma unroll
        for (u32 k = 0; k < KEYS / 16; ++k) {
            warpgroup_mma_columns(out, weights[k], describe(stage + k * 16 * PART_ROW_BYTES, PART_BYTES));
        }
        commit_products();
    }

    __device__ __forceinline__ void mask(u32 j) {
        const u32 first = first_key(j), end = end_block * BLOCK_TOKENS;
        if (first + KEYS <= end && first + KEYS - 1 <= tile.position) return;
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const u32 limit = min(tile.position + (own_row + 8 * h) / group, end - 1);
#pragma unroll
            for (u32 n = 0; n < KEYS / 8; ++n)
#pragma unroll
                for (u32 i = 0; i < 2; ++i) {
                    const u32 key = first + n * 8 + threadIdx.x % 4 * 2 + i;
                    if (key > limit) score[4 * n + 2 * h + i] = negative_infinity();
                }
        }
    }

    // Online softmax: scores become weights; what was summed before has to shrink by `shrink`.
    __device__ __forceinline__ void weigh(float shrink[2]) {
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            float next = most[h];
#pragma unroll
            for (u32 n = 0; n < KEYS / 8; ++n)
                next = fmaxf(next, fmaxf(score[4 * n + 2 * h], score[4 * n + 2 * h + 1]));
            next = fmaxf(next, __shfl_xor_sync(EVERY_LANE, next, 1));
            next = fmaxf(next, __shfl_xor_sync(EVERY_LANE, next, 2));
            const float base = next == negative_infinity() ? 0.0f : next * problem.scale;
            shrink[h] = power_of_two(most[h] * problem.scale - base);
            float sum = 0.0f;
#pragma unroll
            for (u32 n = 0; n < KEYS / 8; ++n)
#pragma unroll
                for (u32 i = 0; i < 2; ++i) {
                    float& each = score[4 * n + 2 * h + i];
                    sum += each = power_of_two(each * problem.scale - base);
                }
            most[h] = next, total[h] = total[h] * shrink[h] + sum;
        }
    }

    __device__ __forceinline__ void pack_weights() {
#pragma unroll
        for (u32 k = 0; k < KEYS / 16; ++k)
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const u32 at = 4 * (2 * k + i / 2) + i % 2 * 2;
                weights[k][i] = pack_bf16(score[at], score[at + 1]);
            }
    }

    __device__ __forceinline__ void run() {
#pragma unroll
        for (u32 i = 0; i < 64; ++i) out[i] = 0.0f;
        most[0] = most[1] = negative_infinity(), total[0] = total[1] = 0.0f;
        fetch(0);
        load_queries();
        float shrink[2];
        arrive();
        fetch(1);
        begin_products();
        start_scores(0);
        wait_for_products<0>();
        results_are_ready(score);
        mask(0);
        weigh(shrink);
        pack_weights();
        for (u32 j = 1; j < tiles(); ++j) {
            arrive();
            fetch(j + 1);
            begin_products();
            start_scores(j);
            start_values(j - 1);
            wait_for_products<1>();
            results_are_ready(score);
            mask(j);
            weigh(shrink);
            wait_for_products<0>();
            results_are_ready(out);
#pragma unroll
            for (u32 i = 0; i < 64; ++i) out[i] *= shrink[i / 2 % 2];
            pack_weights();
        }
        arrive();
        begin_products();
        start_values(tiles() - 1);
        wait_for_products<0>();
        results_are_ready(out);
    }

    __device__ __forceinline__ void write(u32 split, u32 splits) const {
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            float sum = total[h];
            sum += __shfl_xor_sync(EVERY_LANE, sum, 1);
            sum += __shfl_xor_sync(EVERY_LANE, sum, 2);
            const u32 row = own_row + 8 * h, token = row / group, t = threadIdx.x % 4;
            if (token >= tile.tokens) continue;
            const u32 head = kv_head * group + row % group;
            const u64 query = tile.first_row + token;
            const u64 whole = query * problem.heads + head;
            const u64 part = (query * splits + split) * problem.heads + head;
            if (splits > 1 && t == 0) problem.partial_scale[part] = make_float2(most[h] * problem.scale, sum);
#pragma unroll
            for (u32 n = 0; n < D / 8; ++n) {
                const u32 dim = n * 8 + t * 2;
                const float a = out[4 * n + 2 * h], b = out[4 * n + 2 * h + 1];
                if (splits > 1) {
                    *reinterpret_cast<float2*>(problem.partial + part * D + dim) = make_float2(a, b);
                } else {
                    *reinterpret_cast<u32*>(problem.out + whole * D + dim) = pack_bf16(a / sum, b / sum);
                }
            }
        }
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 1) prefill_attention_hopper_128(
    const QueryTile* tiles, const u16* q, const u16* layer, const u16* scratch, const u32* block_slots,
    const float2* table, u16* out, float* partial, float2* partial_scale, u32 heads, u32 kv_heads,
    u32 blocks_per_split, float scale) {
    extern __shared__ __align__(1024) unsigned char memory[];
    // The last tiles see the most keys: they go first.
    const QueryTile tile = tiles[gridDim.y - 1 - blockIdx.y];
    const Problem problem{q,       layer,         scratch, block_slots, table,            out,
                          partial, partial_scale, heads,   kv_heads,    blocks_per_split, scale};
    const u32 first_block = blockIdx.z * blocks_per_split;
    const u32 blocks = (tile.position + tile.tokens - 1) / BLOCK_TOKENS + 1;
    if (first_block >= blocks) return;
    const u32 start = shared_address(memory);
    const u32 own_row = threadIdx.x / WARP * 16 + threadIdx.x % WARP / 4;
    Hopper state{problem,
                 tile,
                 start,
                 start + TILE_BYTES,
                 start + 3 * TILE_BYTES,
                 blockIdx.x,
                 heads / kv_heads,
                 first_block,
                 min(first_block + blocks_per_split, blocks),
                 own_row};
    state.run();
    state.write(blockIdx.z, gridDim.z);
}
