// Natural log probabilities of the raw logits: of each row's sampled token, which is told its rank too, and of its likeliest
// tokens in order.
// One CTA of 1,024 a request.
#include "ranking.cuh"

constexpr u32 MOST_TOP = 64;

struct Request {
    u32 row;
    u32 sample;  // place of the token in `tokens`
    u32 top;     // at most MOST_TOP
    u32 unused;
};

struct Answer {
    float own;
    u32 known;  // 0: more candidates than are ranked here
    u32 rank;   // 1 + the number of likelier tokens
    u32 unused;
    u32 token[MOST_TOP];
    float probability[MOST_TOP];
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    log_probabilities(const float* logits, const Request* requests, const u32* tokens, Answer* answers,
                      u32 vocabulary) {
    __shared__ Ranking ranking;
    const Request request = requests[blockIdx.x];
    Answer& answer = answers[blockIdx.x];
    const float* logits_row = logits + u64(request.row) * vocabulary;
    const Best best = block_best<THREADS>(logits_row, vocabulary, ranking.best);
    const u32 token = tokens[request.sample];
    if (best.value == negative_infinity() || token >= vocabulary) {
        if (threadIdx.x == 0) answer.known = 0;
        return;
    }
    const Row row{{logits_row, nullptr}, vocabulary, finite(best.value), 1.0f};
    const float sum = logf(float(total_weight(row, 0.0f, ranking.parts)) / UNIT);
    u64 likelier = 0;
    const float own = finite(logits_row[token]);
    for (u32 i = threadIdx.x; i < vocabulary; i += THREADS) likelier += finite(logits_row[i]) > own ? 1 : 0;
    likelier = block_sum<THREADS>(likelier, ranking.parts);
    __syncthreads();
    if (request.top > 0) rank_row(row, ranking);
    if (threadIdx.x == 0) {
        answer.rank = u32(likelier) + 1;
        answer.own = -row.distance(token) - sum;
        answer.known = request.top == 0 || ranking.count >= request.top ? 1 : 0;
    }
    if (request.top == 0) return;
    for (u32 i = threadIdx.x; i < min(request.top, ranking.count); i += THREADS) {
        answer.token[i] = ranking.token(i);
        answer.probability[i] = -ranking.distance(i) - sum;
    }
}
