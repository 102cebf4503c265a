#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::router {

// The run whose answer the caller got as it was; null where several answers were combined, and
// where none came: then a reported quality is no single expert's.
const v1::Run* AnsweredRun(const v1::Decision& decision);

// P(the choice of the expert that `answered`); unset where none was logged, and where the choice
// was of another expert, which failed or whose answer was not taken.
std::optional<double> PropensityOf(const v1::Decision& decision, const v1::Run& answered);

}  // namespace penstock::router
