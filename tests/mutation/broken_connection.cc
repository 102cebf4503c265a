#include "tests/mutation/broken_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/mutation/random_words.h"

namespace penstock {
namespace {

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr suseconds_t kSilenceMicroseconds = 50'000;

// RFC 9113, section 4.1.
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  const size_t size = payload.size();
  std::string frame = {static_cast<char>(size >> 16),   static_cast<char>(size >> 8),
                       static_cast<char>(size),         static_cast<char>(type),
                       static_cast<char>(flags),        static_cast<char>(stream >> 24),
                       static_cast<char>(stream >> 16), static_cast<char>(stream >> 8),
                       static_cast<char>(stream)};
  return frame + payload;
}

// RFC 7541, section 6.2.2: literal, never indexed, as they stand.
void AppendHeader(const std::string& name, const std::string& value, std::string& block) {
  block.push_back('\x10');
  for (const std::string& text : {name, value}) {
    block.push_back(static_cast<char>(text.size() & 0x7f));
    block += text.substr(0, text.size() & 0x7f);
  }
}

std::string Headers(CounterRandom& random) {
  std::vector<std::pair<std::string, std::string>> headers = {
      {":method", "POST"},
      {":scheme", "http"},
      {":path", "/inference.GRPCInferenceService/ModelInfer"},
      {":authority", "localhost"},
      {"te", "trailers"},
      {"content-type", "application/grpc"},
      {"authorization", "Bearer alice-key"}};
  static const auto& odd =
      *new std::vector<std::pair<std::string, std::string>>{{"grpc-timeout", "0n"},
                                                            {"grpc-timeout", "99999999999H"},
                                                            {"grpc-timeout", "-1S"},
                                                            {"grpc-timeout", "1"},
                                                            {"grpc-timeout", ""},
                                                            {"grpc-encoding", "gzip"},
                                                            {"grpc-encoding", "nothing"},
                                                            {"grpc-status", "0"},
                                                            {"Upper-Case", "x"},
                                                            {"with space", "x"},
                                                            {"value", "line\r\nfeed"},
                                                            {"value-bin", "not base64!"},
                                                            {":path", "/second"},
                                                            {"content-length", "3"},
                                                            {"penstock-tenant", "\xff\xfe"},
                                                            {"penstock-rights", "admin"},
                                                            {"connection", "close"},
                                                            {"", "no name"}};
  switch (random.Below(4)) {
    case 0:
      headers.erase(headers.begin() + static_cast<std::ptrdiff_t>(random.Below(headers.size())));
      break;
    case 1:
      headers[random.Below(headers.size())].second = OddText(random);
      break;
    default:
      for (uint64_t n = random.Below(4); n > 0; --n) headers.push_back(OneOf(odd, random));
  }
  std::string block;
  for (const auto& [name, value] : headers) AppendHeader(name, value, block);
  return block;
}

// A message of ModelInfer behind gRPC's prefix: whether it is compressed, and its length.
std::string PrefixedMessage(CounterRandom& random) {
  const std::string message = OneIn(2, random) ? std::string("\x0a\x05plain", 7) : OddText(random);
  const auto length = static_cast<uint32_t>(OneIn(2, random) ? message.size() : OddInteger(random));
  const auto flag = static_cast<char>(OneIn(2, random) ? 0 : random.Below(4));
  return std::string({flag, static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                      static_cast<char>(length >> 8), static_cast<char>(length)}) +
         message;
}

std::string Conversation(CounterRandom& random) {
  constexpr uint8_t kEndStream = 1, kEndHeaders = 4;
  std::string bytes = OneIn(20, random) ? OddText(random) : std::string(kPreface);
  bytes += Frame(4, 0, 0, "");  // SETTINGS
  for (uint32_t stream = 1; stream < 2 * (1 + random.Below(4)); stream += 2) {
    bytes += Frame(1, kEndHeaders, stream, Headers(random));
    if (OneIn(8, random)) {
      // A frame of any type, with any flags, on any stream.
      bytes +=
          Frame(static_cast<uint8_t>(random.Below(12)), static_cast<uint8_t>(random.Below(256)),
                static_cast<uint32_t>(OddInteger(random)), OddText(random).substr(0, 4000));
    }
    bytes += Frame(0, OneIn(4, random) ? 0 : kEndStream, stream,
                   PrefixedMessage(random).substr(0, 16'000));
  }
  switch (random.Below(4)) {
    case 0:
      bytes.resize(random.Below(bytes.size() + 1));
      break;
    case 1:
      for (uint64_t n = 1 + random.Below(6); n > 0; --n) {
        bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
      }
      break;
    default:
      break;
  }
  return bytes;
}

}  // namespace

bool SendBrokenConnection(const std::string& address, CounterRandom& random) {
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  int port = 0;
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &port) ||
      inet_pton(AF_INET, parts[0].c_str(), &peer.sin_addr) != 1) {
    return false;
  }
  peer.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const timeval silence = {0, kSilenceMicroseconds};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) == 0;
  if (connected) {
    const std::string bytes = Conversation(random);
    // Fails where the server has closed by then, as it may.
    (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    char answer[4096];
    while (recv(fd, answer, sizeof(answer), 0) > 0) {
    }
  }
  close(fd);
  return connected;
}

}  // namespace penstock
