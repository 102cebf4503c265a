#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bytes.h"
#include "common/tensors/infer_message.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/choice/row_choice.h"
#include "router_service/dispatch/expert_ask.h"
#include "router_service/dispatch/route_request.h"

namespace penstock::router {

// The caller's request as one expert sees it: without penstock_* parameters, under the expert's own
// model name, with the expert's own parameters over the caller's. `also_output`, where not empty,
// is asked for too if the caller asked for outputs by name.
Bytes ExpertRequest(const RouteRequest& request, const PoolExpert& expert,
                    absl::string_view also_output);

// The same with only some rows of the inputs.
absl::StatusOr<Bytes> RowExpertRequest(const RouteRequest& request, const PoolExpert& expert,
                                       absl::Span<const int32_t> rows);

// INTERNAL for an answer that is not what contract and request ask for; `also_output` as above.
absl::Status CheckAnswer(const RouteRequest& request, int64_t rows, absl::string_view also_output,
                         const Bytes& body);

// The tensors of an answer that passed CheckAnswer.
absl::StatusOr<std::vector<Tensor>> DecodeAnswer(const Bytes& body);

// The outputs that the caller asked for, in the contract's order; all where none is named.
std::vector<Tensor> WantedOutputs(const RouteRequest& request, std::vector<Tensor> outputs);

// One expert's answer under the pool's name. Passed through as bytes where it holds just what was
// asked for, in raw contents.
absl::StatusOr<Bytes> PassAnswer(const RouteRequest& request, const Bytes& body,
                                 const std::vector<OutParameter>& parameters);
// An answer of our own making.
Bytes MakeAnswer(const RouteRequest& request, std::vector<Tensor> outputs,
                 std::vector<OutParameter> parameters);

// Outputs without rows, for a request without rows.
std::vector<Tensor> EmptyOutputs(const RouteRequest& request);

// Who answered, with which weights.
struct Answerer {
  std::string expert;
  double weight = 1;
};
// penstock_* parameters of the answer that `decision` describes.
std::vector<OutParameter> AnswerParameters(const v1::Decision& decision,
                                           const std::vector<Answerer>& answerers, bool explain);

// What the caller is told of an expert's failure.
absl::Status CallerStatus(absl::string_view expert, const absl::Status& status);

// The output that an answer's confidence is read from, and that several answers are combined by;
// empty: the pool has none.
std::string OutputForConfidence(const Pool& pool);

}  // namespace penstock::router
