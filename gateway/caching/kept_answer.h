#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/net/infer_call.h"

namespace penstock::gateway {

// A router's answer without what is true of one run only: the serialized ModelInferResponse less
// the penstock_* parameters that tell its joules, its time and its decision. Who answered stays. It
// came to a request without id, so it has none. Memory of its own.
struct KeptAnswer {
  Bytes body;
};

struct ReadAnswer {
  std::shared_ptr<const KeptAnswer> kept;
  bool degraded = false;
};
// INTERNAL where a router's answer does not parse.
absl::StatusOr<ReadAnswer> ReadRouterAnswer(const Bytes& body);

// `request` with an empty id: what a run is asked whose answer several callers may get.
Bytes WithoutId(const Bytes& request);
// An answer as it is, with the word for penstock_cache.
Bytes MarkedAnswer(const Bytes& body, absl::string_view cache);
// A run's answer to one of its callers.
Bytes AnswerOfRun(const Bytes& body, absl::string_view id, absl::string_view cache);
// To a caller for whom nothing ran.
Bytes AnswerFromCache(const KeptAnswer& kept, absl::string_view id);

// Says of a reply that it was given without waiting for any run. Goes no further than admission.
inline constexpr char kKeptAnswerTrailer[] = "penstock-kept-answer";
InferReply KeptReply(const KeptAnswer& kept, absl::string_view id);
bool IsKeptReply(const InferReply& reply);

}  // namespace penstock::gateway
