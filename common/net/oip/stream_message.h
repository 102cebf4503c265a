#pragma once

#include "absl/status/status.h"
#include "common/bytes.h"

namespace penstock {

// A serialized ModelStreamInferResponse around a serialized ModelInferResponse, which is shared.
Bytes StreamAnswer(const Bytes& response);
// One that says "CODE: text" and the id of the serialized ModelInferRequest that failed.
Bytes StreamError(const absl::Status& status, const Bytes& request);

}  // namespace penstock
