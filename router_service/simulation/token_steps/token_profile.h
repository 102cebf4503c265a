#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock::router {

// How long an expert's servers take for a step, and what it costs. Between points straight lines,
// beyond the last one the line through the last two.
struct TokenProfile {
  // One step of all running requests: a token each.
  struct Step {
    double batch = 1;
    double seconds = 0;
    double joules = 0;  // of the whole batch
  };
  // Reading the prompts of requests that are admitted together, and their first tokens.
  struct Prefill {
    double tokens = 1;  // of all these prompts
    double seconds = 0;
  };

  std::string name;
  uint32_t servers = 1;
  uint32_t batch_limit = 1;  // requests that one server runs at once
  double joules_per_prompt_token = 0;
  std::vector<Step> steps;        // by ascending batch
  std::vector<Prefill> prefills;  // by ascending tokens; empty: no time

  double StepSeconds(double batch) const;
  double StepJoules(double batch) const;
  double PrefillSeconds(double tokens) const;
  // Of a request alone on a server.
  double UnloadedSeconds(double prompt_tokens, double output_tokens) const;
  // Requests a second that its servers finish of such requests at a full batch.
  double Capacity(double prompt_tokens, double output_tokens) const;
};

// YAML, a list under `experts`:
//   - {name: small, servers: 1, batch_limit: 32, steps: [{batch: 1, seconds: .007, joules: 3.1},
//   ...],
//      prefill: [{tokens: 128, seconds: .01}, ...], joules_per_prompt_token: 0}
// Strict: an unknown key, a wrong type, a negative number, points out of order, no step, a name
// that is missing or stands twice are INVALID_ARGUMENT with file, place and line.
absl::StatusOr<std::vector<TokenProfile>> ParseTokenProfiles(absl::string_view file,
                                                             const std::string& text);
absl::StatusOr<std::vector<TokenProfile>> ReadTokenProfiles(const std::string& file);

// The profiles in the order of `experts`. INVALID_ARGUMENT names an expert without one.
absl::StatusOr<std::vector<TokenProfile>> InOrderOf(absl::Span<const std::string> experts,
                                                    absl::Span<const TokenProfile> profiles);

}  // namespace penstock::router
