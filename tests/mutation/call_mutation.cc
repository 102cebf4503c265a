#include "tests/mutation/call_mutation.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/net/caller_rights.h"
#include "tests/mutation/message_mutation.h"
#include "tests/mutation/random_words.h"
#include "tests/mutation/wire_mutation.h"

namespace penstock {
namespace {

bool IsInfer(const std::string& path) {
  return absl::EndsWith(path, "/ModelInfer") || absl::EndsWith(path, "/ModelStreamInfer");
}

// What a header's value may be: gRPC's own client sends no other.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '~';
  }
  return text;
}

void MutateMetadata(MutatedCall& call, CounterRandom& random) {
  static constexpr const char* kNames[] = {"penstock-tenant",
                                           "penstock-rights",
                                           "penstock-priority",
                                           "penstock-credential",
                                           "penstock-request-id",
                                           "traceparent",
                                           "authorization",
                                           "x-request-id",
                                           "user-agent",
                                           "retry-after-ms",
                                           "grpc-retry-pushback-ms",
                                           "penstock-answer-version",
                                           "endpoint-load-metrics",
                                           "x-orca",
                                           "tracestate",
                                           "baggage",
                                           "grpc-accept-encoding",
                                           "grpc-previous-rpc-attempts"};
  static constexpr const char* kBinaryNames[] = {"anything-bin",   "endpoint-load-metrics-bin",
                                                 "x-orca-bin",     "grpc-tags-bin",
                                                 "grpc-trace-bin", "penstock-tenant-bin"};
  switch (random.Below(6)) {
    case 0:
    case 1:
      call.metadata.emplace_back(OneOf(kNames, random), Printable(OddText(random)));
      break;
    case 2:
      call.metadata.emplace_back(
          "penstock-rights",
          absl::StrCat("admin,forced_experts,pool=", Printable(OddText(random)), ",,pool="));
      break;
    case 3:
      call.metadata.emplace_back(OneOf(kBinaryNames, random), OddText(random));
      break;
    case 4:
      // Many, one or several of a name.
      for (uint64_t i = random.Below(300); i > 0; --i) {
        call.metadata.emplace_back(OneIn(2, random) ? "many" : absl::StrCat("x-", i), "value");
      }
      break;
    default:
      call.metadata.emplace_back("traceparent",
                                 "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
      // Mostly less than servers take, 16 KiB.
      call.metadata.emplace_back(
          "long", std::string(random.Below(OneIn(10, random) ? 40'000 : 15'000), 'v'));
  }
}

std::string MutatedMessage(const Seed& seed, CounterRandom& random) {
  std::string bytes = seed.message;
  if (seed.request != nullptr && !OneIn(3, random)) {
    const std::unique_ptr<google::protobuf::Message> message(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(seed.request)->New());
    message->ParseFromString(bytes);
    for (uint64_t n = 1 + random.Below(4); n > 0; --n) MutateMessage(*message, random);
    bytes = message->SerializeAsString();
    if (!OneIn(4, random)) return bytes;
  }
  for (uint64_t n = 1 + random.Below(3); n > 0; --n) bytes = MutateWire(std::move(bytes), random);
  return bytes;
}

absl::Duration OddTimeout(CounterRandom& random) {
  static constexpr int64_t kMicroseconds[] = {-1'000'000, 0,      1,         100,          1'000,
                                              10'000,     50'000, 1'000'000, 3'600'000'000};
  return OneIn(10, random) ? absl::Hours(24 * 365 * 200)
                           : absl::Microseconds(OneOf(kMicroseconds, random));
}

// How long a client keeps open what may rightly stay open.
constexpr absl::Duration kStay = absl::Milliseconds(100);

}  // namespace

void CallMutator::AddCredentials(MutatedCall& call, CounterRandom& random) const {
  if (call.target != Target::kGateway) {
    call.metadata.emplace_back(kTenantMetadata, OneIn(4, random) ? "bob" : "alice");
    call.metadata.emplace_back(kRightsMetadata, "admin,forced_experts");
    return;
  }
  static constexpr const char* kKeys[] = {"alice-key", "alice-key", "alice-key", "alice-key",
                                          "bob-key",   "poor-key",  "stranger"};
  call.metadata.emplace_back("authorization",
                             absl::StrCat("Bearer ", admin_ ? OneOf(kKeys, random) : "bob-key"));
}

CallMutator::CallMutator(uint64_t seed, bool admin) : seed_(seed), admin_(admin) {
  for (const Target target : kTargets) {
    seeds_.push_back(SeedsFor(target));
    infer_.emplace_back();
    for (const Seed& one : seeds_.back()) {
      if (IsInfer(one.path)) infer_.back().push_back(one);
    }
  }
}

MutatedCall CallMutator::Make(uint64_t number) const {
  CounterRandom random(seed_, number);
  MutatedCall call;
  call.number = number;
  call.target = !admin_ || OneIn(2, random) ? Target::kGateway : OneOf(kTargets, random);
  const auto target = static_cast<size_t>(call.target);
  const Seed& seed = OneOf(OneIn(2, random) ? infer_[target] : seeds_[target], random);
  call.path = seed.path;
  call.response = seed.response;
  AddCredentials(call, random);
  if (OneIn(20, random)) {
    call.messages.push_back(seed.message);
  } else {
    // A stream takes several; of other RPCs a second message is one too many.
    const uint64_t count = seed.client_streams ? random.Below(6)
                           : OneIn(30, random) ? random.Below(3)
                                               : 1;
    for (uint64_t i = 0; i < count; ++i) {
      call.messages.push_back(OneIn(8, random) ? seed.message : MutatedMessage(seed, random));
    }
    if (OneIn(5, random)) MutateMetadata(call, random);
    if (OneIn(10, random)) call.timeout = OddTimeout(random);
    call.gzip = OneIn(30, random);
    call.half_closes = !OneIn(20, random);
    if (OneIn(30, random)) call.leaves_after = absl::ZeroDuration();
    if (OneIn(100, random)) call.path = absl::StrCat("/", Printable(OddText(random)));
  }
  // A subscription lasts; a stream that is not closed does; who sent nothing may wait for ever.
  const bool open_ended = (seed.server_streams && !seed.client_streams) ||
                          (!call.half_closes && (seed.client_streams || call.messages.empty()));
  if (open_ended && !call.leaves_after.has_value()) call.leaves_after = kStay;
  return call;
}

}  // namespace penstock
