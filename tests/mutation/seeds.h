#pragma once

#include <array>
#include <string>
#include <vector>

namespace google::protobuf {
class Descriptor;
}  // namespace google::protobuf

namespace penstock {

// Who is called.
enum class Target { kGateway, kRouter, kExpert };
inline constexpr std::array<Target, 3> kTargets = {Target::kGateway, Target::kRouter,
                                                   Target::kExpert};
const char* TargetName(Target target);

// A valid call of one RPC.
struct Seed {
  std::string path;  // "/package.Service/Method"
  // Null where the message is not one of our protos.
  const google::protobuf::Descriptor* request = nullptr;
  const google::protobuf::Descriptor* response = nullptr;
  bool client_streams = false;
  bool server_streams = false;
  std::string message;  // serialised
};

// At least one for every method of every service that our protos describe (those too that the
// target does not serve), for server reflection, and for methods that nobody has.
std::vector<Seed> SeedsFor(Target target);

// Words that mean something to the platform: names of its pools, models, tensors, parameters,
// datatypes, tenants.
const std::vector<std::string>& KnownWords();

}  // namespace penstock
