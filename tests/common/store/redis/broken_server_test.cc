#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/store/store.h"
#include "gmock/gmock.h"
#include "tests/common/store/blocking_store.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;

// Takes one connection at a time. Answers what comes first with the first text, what comes then
// with the second, and so on; hangs up when it has no more.
class ScriptedServer {
 public:
  // `answers(n)` for connection n, from 0.
  explicit ScriptedServer(std::function<std::vector<std::string>(int)> answers)
      : answers_(std::move(answers)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~ScriptedServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  std::string uri(const std::string& user = "") const {
    return absl::StrCat("redis://", user, "127.0.0.1:", port_,
                        "?longest_backoff=20ms&max_value_bytes=10000&connect_timeout=1s");
  }
  int connections() const { return connections_; }

 private:
  void Serve() {
    for (;;) {
      const int fd = accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      char bytes[4096];
      for (const std::string& answer : answers_(connections_)) {
        if (read(fd, bytes, sizeof(bytes)) <= 0) break;
        if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      }
      ++connections_;
      close(fd);
    }
  }

  const std::function<std::vector<std::string>(int)> answers_;
  const int listener_;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

class BrokenServerTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Made(const std::string& uri) {
    absl::StatusOr<std::unique_ptr<Store>> store = MakeStore(uri, clock_, /*seed=*/1);
    EXPECT_THAT(store, IsOk());
    return *std::move(store);
  }
  // What a call gets from a server that greets well and then says `answer`.
  absl::Status AnsweredBy(const std::string& answer) {
    ScriptedServer server([&](int) { return std::vector<std::string>{"+PONG\r\n", answer}; });
    const std::unique_ptr<Store> store = Made(server.uri());
    EXPECT_TRUE(Eventually([&] { return store->state().connected; }));
    const absl::Status status = BlockingStore(*store, clock_).Get("k").status();
    if (status.code() == kUnavailable) {
      // It comes again.
      const int before = server.connections();
      EXPECT_TRUE(Eventually([&] { return server.connections() > before; }));
    }
    return status;
  }

  const RealClock clock_;
};

TEST_F(BrokenServerTest, WhatIsNoReplyEndsTheConnection) {
  EXPECT_THAT(AnsweredBy("HTTP/1.1 400 Bad Request\r\n\r\n"),
              StatusIs(kUnavailable, HasSubstr("bad reply")));
}

TEST_F(BrokenServerTest, PromisesOfBillionsEndTheConnection) {
  EXPECT_THAT(AnsweredBy("*2000000000\r\n"), StatusIs(kUnavailable, HasSubstr("elements")));
  EXPECT_THAT(AnsweredBy(absl::StrCat("$2000000000\r\n", std::string(90'000, 'x'))),
              StatusIs(kUnavailable));
}

TEST_F(BrokenServerTest, AReplyOfAnotherShapeEndsTheCall) {
  EXPECT_THAT(AnsweredBy("*2\r\n:1\r\n$-1\r\n"), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(BrokenServerTest, AnswersThatNobodyAskedForEndTheConnection) {
  ScriptedServer server([](int) { return std::vector<std::string>{"+PONG\r\n:1\r\n"}; });
  const std::unique_ptr<Store> store = Made(server.uri());
  ASSERT_TRUE(Eventually([&] { return server.connections() >= 3; }));
  EXPECT_GE(store->state().connections, 1);
}

TEST_F(BrokenServerTest, AServerThatIsNoRedisIsSaidToBeNone) {
  ScriptedServer server([](int) { return std::vector<std::string>{"220 mail.example ESMTP\r\n"}; });
  const std::unique_ptr<Store> store = Made(server.uri());
  ASSERT_TRUE(Eventually([&] { return server.connections() >= 3; }));
  EXPECT_EQ(store->state().connections, 0);
  EXPECT_THAT(store->state().last_error, StatusIs(kUnavailable));
}

TEST_F(BrokenServerTest, AnErrorThatQuotesThePasswordIsNotPassedOn) {
  ScriptedServer server([](int) {
    return std::vector<std::string>{
        "-ERR unknown command 'AUTH', with args beginning with: 'me' 'secret'\r\n"};
  });
  const std::unique_ptr<Store> store = Made(server.uri("me:secret@"));
  ASSERT_TRUE(Eventually([&] { return server.connections() >= 1; }));
  ASSERT_TRUE(Eventually([&] { return !store->state().last_error.ok(); }));
  EXPECT_THAT(store->state().last_error.ToString(),
              AllOf(HasSubstr("AUTH answered ERR"), Not(HasSubstr("secret"))));
}

TEST_F(BrokenServerTest, AnyBytesAreSurvived) {
  // Each connection says other nonsense, made of the protocol's own characters.
  ScriptedServer server([](int n) {
    constexpr char kAlphabet[] = "+-:$*0123456789\r\n\r\nxPONG";
    CounterRandom random(3, static_cast<uint64_t>(n));
    std::string nonsense;
    const uint64_t size = random.Below(60);
    for (uint64_t i = 0; i < size; ++i) {
      nonsense.push_back(kAlphabet[random.Below(sizeof(kAlphabet) - 1)]);
    }
    return std::vector<std::string>{n % 2 == 0 ? nonsense : "+PONG\r\n", nonsense};
  });
  const std::unique_ptr<Store> store = Made(server.uri() + "&stall_timeout=50ms");
  BlockingStore hurried(*store, clock_, absl::Milliseconds(100));
  EXPECT_TRUE(Eventually(
      [&] {
        hurried.Get("k").IgnoreError();
        return server.connections() >= 40;
      },
      absl::Seconds(60)));
  EXPECT_TRUE(Eventually([&] { return store->state().in_flight == 0; }));
}

}  // namespace
}  // namespace penstock
