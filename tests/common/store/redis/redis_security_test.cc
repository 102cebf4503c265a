#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/store/store.h"
#include "gmock/gmock.h"
#include "tests/common/store/blocking_store.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

class RedisSecurityTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Made(const std::string& uri) {
    absl::StatusOr<std::unique_ptr<Store>> store = MakeStore(uri, clock_, /*seed=*/1);
    EXPECT_THAT(store, IsOk());
    return *std::move(store);
  }
  void ExpectServed(const std::string& uri) {
    const std::unique_ptr<Store> store = Made(uri);
    EXPECT_TRUE(Eventually([&] { return store->state().connected; }))
        << store->state().last_error.ToString();
    EXPECT_THAT(BlockingStore(*store, clock_).Put("k", "v"), IsOk());
  }
  // The first error of a connection that is not made.
  std::string ErrorOf(const std::string& uri) {
    const std::unique_ptr<Store> store = Made(uri);
    EXPECT_TRUE(Eventually([&] { return !store->state().last_error.ok(); }));
    EXPECT_EQ(store->state().connections, 0);
    EXPECT_THAT(BlockingStore(*store, clock_).Get("k"), StatusIs(absl::StatusCode::kUnavailable));
    return store->state().last_error.ToString();
  }

  const RealClock clock_;
  const TempDir dir_;
};

class RedisUserTest : public RedisSecurityTest {
 protected:
  std::string Uri(const std::string& user, const std::string& options = "") const {
    return absl::StrCat("redis+unix://", user, server_.socket(), options);
  }

  // The default user needs a password, and another one may do all under a prefix.
  RedisServer server_{
      {.arguments = {"--user", "default", "on", ">letmein", "~*", "&*", "+@all", "--user",
                     "penstock", "on", ">s3cret", "~p:*", "&p:*", "+@all"}}};
};

TEST_F(RedisUserTest, ServesWhoKnowsThePassword) {
  ExpectServed(Uri(":letmein@"));
  ExpectServed(Uri("penstock:s3cret@", "?prefix=p:"));
}

TEST_F(RedisUserTest, RefusesWhoDoesNot) {
  EXPECT_THAT(ErrorOf(Uri("penstock:guess@")),
              AllOf(HasSubstr("AUTH answered WRONGPASS"), Not(HasSubstr("guess"))));
  EXPECT_THAT(ErrorOf(Uri("")), HasSubstr("PING answered NOAUTH"));
}

TEST_F(RedisUserTest, AUserWithoutARightIsToldByTheCall) {
  const std::unique_ptr<Store> store = Made(Uri("penstock:s3cret@", "?prefix=other:"));
  ASSERT_TRUE(Eventually([&] { return store->state().connected; }));
  EXPECT_THAT(BlockingStore(*store, clock_).Put("k", "v"),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(RedisUserTest, APasswordFileMayChange) {
  const std::string file = dir_.Write("password", "guess\n");
  const std::unique_ptr<Store> store =
      Made(Uri("penstock@", absl::StrCat("?prefix=p:&longest_backoff=50ms&password_file=", file)));
  ASSERT_TRUE(Eventually([&] { return !store->state().last_error.ok(); }));
  EXPECT_FALSE(store->state().connected);
  dir_.Write("password", "s3cret\n");
  EXPECT_TRUE(Eventually([&] { return store->state().connected; }));
  EXPECT_THAT(ErrorOf(Uri("penstock@", "?password_file=/nowhere/password")),
              HasSubstr("password_file '/nowhere/password' cannot be read"));
}

class RedisTlsTest : public RedisSecurityTest {
 protected:
  RedisTlsTest() {
    MakeAuthority("ca");
    MakeAuthority("stranger");
    Sign("server", "DNS:localhost,IP:127.0.0.1");
    Sign("elsewhere", "DNS:elsewhere");
    Sign("client", "DNS:client");
  }

  void Serve(const std::string& certificate, bool mutual = false) {
    server_ = std::make_unique<RedisServer>(RedisServer::Options{
        .tls = true,
        .arguments = {"--tls-cert-file", dir_.File(certificate + ".pem"), "--tls-key-file",
                      dir_.File(certificate + ".key"), "--tls-ca-cert-file", dir_.File("ca.pem"),
                      "--tls-auth-clients", mutual ? "yes" : "no"}});
  }
  std::string Uri(const std::string& options, const std::string& host = "localhost") const {
    return absl::StrCat("rediss://", host, ":", server_->port(), "?longest_backoff=100ms&",
                        options);
  }
  std::string Ca(const std::string& name = "ca") const {
    return absl::StrCat("ca=", dir_.File(name + ".pem"));
  }

  std::unique_ptr<RedisServer> server_;

 private:
  void MakeAuthority(const std::string& name) {
    Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=" +
        name + " -keyout " + name + ".key -out " + name + ".pem");
  }
  void Sign(const std::string& name, const std::string& names) {
    dir_.Write(name + ".ext", "subjectAltName=" + names + "\n");
    Run("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + name +
        " -keyout " + name + ".key -out " + name + ".csr");
    Run("x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2" +
        " -extfile " + name + ".ext -out " + name + ".pem");
  }
  void Run(const std::string& arguments) {
    const std::string command =
        "cd " + dir_.path() + " && openssl " + arguments + " >openssl.log 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command << "\n" << dir_.Read("openssl.log");
  }
};

TEST_F(RedisTlsTest, ServesOverTlsByNameAndByAddress) {
  Serve("server");
  ExpectServed(Uri(Ca()));
  ExpectServed(Uri(Ca(), "127.0.0.1"));
}

TEST_F(RedisTlsTest, RefusesACertificateOfAStranger) {
  Serve("server");
  EXPECT_THAT(ErrorOf(Uri(Ca("stranger"))), HasSubstr("certificate"));
  // The system's authorities do not know the test's.
  EXPECT_THAT(ErrorOf(Uri("")), HasSubstr("certificate"));
}

TEST_F(RedisTlsTest, RefusesACertificateOfAnotherHost) {
  Serve("elsewhere");
  EXPECT_THAT(ErrorOf(Uri(Ca())), HasSubstr("ostname mismatch"));
  EXPECT_THAT(ErrorOf(Uri(Ca(), "127.0.0.1")), HasSubstr("IP address mismatch"));
  ExpectServed(Uri(Ca() + "&server_name=elsewhere"));
}

TEST_F(RedisTlsTest, ShowsItsOwnCertificateWhereOneIsAsked) {
  Serve("server", /*mutual=*/true);
  ExpectServed(
      Uri(absl::StrCat(Ca(), "&cert=", dir_.File("client.pem"), "&key=", dir_.File("client.key"))));
  const std::unique_ptr<Store> store = Made(Uri(Ca()));
  ASSERT_TRUE(Eventually([&] { return !store->state().last_error.ok(); }));
  EXPECT_EQ(store->state().connections, 0);
}

TEST_F(RedisTlsTest, SaysWhichFileIsWrong) {
  Serve("server");
  EXPECT_THAT(ErrorOf(Uri("ca=/nowhere/ca.pem")), HasSubstr("ca '/nowhere/ca.pem'"));
  EXPECT_THAT(ErrorOf(Uri(absl::StrCat(Ca(), "&cert=", dir_.File("client.pem"),
                                       "&key=", dir_.File("server.key")))),
              HasSubstr("server.key"));
}

TEST_F(RedisTlsTest, PlaintextDoesNotGetIn) {
  Serve("server");
  EXPECT_THAT(ErrorOf(absl::StrCat("redis://localhost:", server_->port())),
              HasSubstr("UNAVAILABLE"));
}

TEST_F(RedisTlsTest, AKilledServerIsFoundAgain) {
  Serve("server");
  const std::unique_ptr<Store> store = Made(Uri(Ca()));
  ASSERT_TRUE(Eventually([&] { return store->state().connected; }));
  server_->Kill();
  ASSERT_TRUE(Eventually([&] { return !store->state().connected; }));
  EXPECT_THAT(BlockingStore(*store, clock_).Get("k"), StatusIs(absl::StatusCode::kUnavailable));
  server_->Start();
  ASSERT_TRUE(Eventually([&] { return store->state().connected; }))
      << store->state().last_error.ToString();
  const std::string large(300'000, 'x');
  EXPECT_THAT(BlockingStore(*store, clock_).Put("k", large), IsOk());
  EXPECT_THAT(BlockingStore(*store, clock_).Get("k"), IsOkAndHolds(testing::Optional(large)));
}

}  // namespace
}  // namespace penstock
