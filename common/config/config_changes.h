#pragma once

#include <string>
#include <vector>

#include "google/protobuf/message.h"

namespace penstock {

// Paths of the fields in which two messages of one type differ, in the schema's order, without
// their values: `pools.digits.gate.topk_softmax.k`, `pools.digits.experts.big (added)`. Items of a
// list that have a `name` are told apart by it; a list of others is one field. At most `limit`,
// then "...".
std::vector<std::string> ChangedFields(const google::protobuf::Message& before,
                                       const google::protobuf::Message& after, size_t limit = 16);

}  // namespace penstock
