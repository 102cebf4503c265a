#include <cstdio>
#include <cstdlib>
#include <string>

#include "google/protobuf/stubs/logging.h"
#include "tests/fuzz/infer_message_reference.h"
#include "tests/fuzz/random_pieces.h"

// The first byte says how finely the message is cut; the rest is the message.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const google::protobuf::LogSilencer silencer;  // protobuf logs every broken string
  if (size == 0) return 0;
  const std::string message(reinterpret_cast<const char*>(data) + 1, size - 1);
  penstock::CounterRandom random(data[0], size);
  const penstock::Bytes pieces =
      data[0] == 0 ? penstock::Bytes(message) : penstock::RandomPieces(message, data[0], random);
  const std::string difference = penstock::DifferenceInRequest(pieces);
  if (!difference.empty()) {
    std::fprintf(stderr, "scanner and protobuf differ: %s\n", difference.c_str());
    std::abort();
  }
  return 0;
}
