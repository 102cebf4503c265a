#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::router {

// Whether a budget is better spent on one large answer or on a tree of small ones that vote.
// Signals are mu = 2 P(right) - 1, in [-1, 1]. After "phase transitions for budgeted multi-agent
// synergy": a level of b voters multiplies a small signal by
//   alpha = fidelity (rho + (1 - rho) f_b'(0)),  f_b'(0) = b C(b - 1, (b - 1) / 2) / 2^(b - 1),
// so N = b^L leaves multiply it by N^s with s = log_b alpha, while each leaf has 1/N of the budget
// and, with mu(x) ~ kappa x^beta, loses N^beta. Voting can pay only where s > beta; s < 1/2 for
// every b.

// f_b(mu): the signal of the majority of b independent voters. b is odd.
double MajoritySignal(size_t voters, double signal);
// f_b'(0)
double MajoritySlope(size_t voters);
// alpha
double LevelGain(size_t voters, double fidelity, double correlation);
// mu*, the signal that more levels lead to: 0 where alpha <= 1, else the positive solution of
//   mu = rho gamma mu + (1 - rho) f_b(gamma mu)
double FixedSignal(size_t voters, double fidelity, double correlation);
// v* = sigma^2 / ((b - 1) (1 - rho)): the variance that averaging cannot go below, of
//   v' = rho v + (1 - rho) v / b + sigma^2 / b
double AveragingFloor(size_t voters, double correlation, double noise_variance);

struct VoteTreeRequest {
  double budget = 0;           // tokens, or joules
  double beta = 0, kappa = 0;  // one answer for x of the budget has signal min(1, kappa x^beta)
  double message = 1;          // tokens of one answer as a voter reads it
  double window = 0;           // tokens that a voter can read: fan-in <= window / message
  double fidelity = 1;         // gamma, in [0, 1]
  double correlation = 0;      // rho, in [0, 1]: of siblings' being right
  double message_cost = 0;     // of the budget, for each message
  double least_leaf = 0;       // x below this gives no answer
  size_t voters = 0;           // the only fan-in to look at, odd and at least 3; 0: any
};

struct VoteTreePlan {
  size_t leaves = 1, voters = 1, levels = 0;
  double signal = 0;         // predicted at the root
  double single_signal = 0;  // of one answer for the whole budget
  double leaf_budget = 0;
  // Of the plan's fan-in; of the best fan-in where one answer is better.
  double gain = 0;              // alpha
  double exponent = 0;          // s
  double mixing_levels = 0;     // levels until the fixed signal is reached
  bool voting_can_pay = false;  // some fan-in has s > beta
};

// INVALID_ARGUMENT for figures out of range.
absl::StatusOr<VoteTreePlan> PlanVoteTree(const VoteTreeRequest& request);

}  // namespace penstock::router
