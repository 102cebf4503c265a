#pragma once

namespace penstock::router {

// An answer is at ease where the geometric mean of its promised latency and its latency at 0.99
// fits the time left: where latencies have an exponential tail, a promise of 0.95 is then one of
// 0.978. Who is in time but not at ease is at risk: promises are estimates, whoever is best has the
// longest queue, and so the best expert in time mostly is only just in time. A late answer is worth
// nothing to its caller, and a promise that is broken less than that: an expert at risk is
// preferred only where nobody at ease is 0.6 times as good. At promises from 0.99 on whoever is in
// time is at ease. Measured in docs/benchmarks-replay.md, section Deadlines.
inline constexpr double kAtRiskShare = 0.6;

// What counts of `score`, before prices. What is 0 or less stays: risk makes nothing better. So
// does the score of who is late, whom no limit lets run: Explain tells who would be chosen with
// more time left by the scores as they are.
inline double TimelyScore(double score, double latency_s, double p99_latency_s,
                          double time_left_s) {
  const bool late = latency_s > time_left_s;
  const bool at_ease = latency_s * p99_latency_s <= time_left_s * time_left_s;
  const double at_risk = score > 0 ? kAtRiskShare * score : score;
  return late || at_ease ? score : at_risk;
}

}  // namespace penstock::router
