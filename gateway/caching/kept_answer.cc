#include "gateway/caching/kept_answer.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/tensors/infer_message.h"

namespace penstock::gateway {
namespace {

constexpr absl::string_view kWhoAnswered[] = {"penstock_decision_id", "penstock_experts",
                                              "penstock_weights", "penstock_degraded"};

// Field 3 of requests and responses; the last one on the wire counts, so that an empty one is said
// too.
std::string IdField(absl::string_view id) {
  std::string field(1, static_cast<char>((3 << 3) | 2));
  size_t size = id.size();
  for (; size >= 0x80; size >>= 7) field.push_back(static_cast<char>(size | 0x80));
  field.push_back(static_cast<char>(size));
  field.append(id.data(), id.size());
  return field;
}

// Messages one after the other merge, and of a map's entries the last of a name counts.
Bytes With(Bytes body, std::vector<OutParameter> parameters) {
  InferResponse more;
  more.parameters = std::move(parameters);
  body.Append(EncodeInferResponse(more));
  return body;
}

}  // namespace

absl::StatusOr<ReadAnswer> ReadRouterAnswer(const Bytes& body) {
  const absl::StatusOr<InferResponseHeader> header = ScanInferResponse(body);
  if (!header.ok()) {
    return absl::InternalError(
        absl::StrCat("the router's answer cannot be used: ", header.status().message()));
  }
  ReadAnswer answer;
  InferResponse who;
  for (const Parameter& parameter : header->parameters) {
    if (std::find(std::begin(kWhoAnswered), std::end(kWhoAnswered), parameter.name) ==
        std::end(kWhoAnswered)) {
      continue;
    }
    answer.degraded |= parameter.name == "penstock_degraded";
    who.parameters.push_back({parameter.name, parameter.value});
  }
  std::string storage;
  const absl::string_view all = body.Flat(storage);
  std::string kept;
  kept.reserve(all.size());
  size_t offset = 0;
  for (const ByteRange& range : header->parameter_ranges) {
    absl::StrAppend(&kept, all.substr(offset, range.offset - offset));
    offset = range.offset + range.size;
  }
  absl::StrAppend(&kept, all.substr(offset));
  kept.append(EncodeInferResponse(who).ToString());
  answer.kept = std::make_shared<const KeptAnswer>(KeptAnswer{Bytes(std::move(kept))});
  return answer;
}

Bytes WithoutId(const Bytes& request) {
  Bytes without = request;
  without.Append(IdField(""));
  return without;
}

Bytes MarkedAnswer(const Bytes& body, absl::string_view cache) {
  return With(body, {{"penstock_cache", std::string(cache)}});
}

Bytes AnswerOfRun(const Bytes& body, absl::string_view id, absl::string_view cache) {
  Bytes answer = MarkedAnswer(body, cache);
  answer.Append(IdField(id));
  return answer;
}

Bytes AnswerFromCache(const KeptAnswer& kept, absl::string_view id) {
  Bytes answer = With(kept.body, {{"penstock_energy_j", 0.0},
                                  {"penstock_energy_method", std::string("cached")},
                                  {"penstock_cache", std::string("hit")}});
  answer.Append(IdField(id));
  return answer;
}

InferReply KeptReply(const KeptAnswer& kept, absl::string_view id) {
  return {.status = absl::OkStatus(),
          .body = AnswerFromCache(kept, id),
          .trailers = {{kKeptAnswerTrailer, "1"}}};
}

bool IsKeptReply(const InferReply& reply) {
  return !FindMetadata(reply.trailers, kKeptAnswerTrailer).empty();
}

}  // namespace penstock::gateway
