#pragma once

#include "common/random.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace penstock {

// Changes one field, at any depth, to something that its type allows and its reader may not expect.
void MutateMessage(google::protobuf::Message& message, CounterRandom& random);

}  // namespace penstock
