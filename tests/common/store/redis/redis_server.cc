#include "tests/common/store/redis/redis_server.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

// As every program of ours does (InitProcess): a server that dies may be written to.
[[maybe_unused]] const auto ignored = signal(SIGPIPE, SIG_IGN);

}  // namespace

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ADD_FAILURE() << "no free port";
  }
  close(fd);
  return ntohs(address.sin_port);
}

RedisServer::RedisServer(Options options)
    : options_(std::move(options)), socket_(folder_.File("redis.sock")) {
  // Another process may take the port first.
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (options_.tcp || options_.tls) port_ = FreePort();
    if (Launch()) return;
  }
  ADD_FAILURE() << "redis-server does not start:\n" << folder_.Read("log");
}

RedisServer::~RedisServer() { Kill(); }

void RedisServer::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::Start() {
  if (!Launch()) ADD_FAILURE() << "redis-server does not start again:\n" << folder_.Read("log");
}

void RedisServer::Pause() {
  kill(pid_, SIGSTOP);
  int status = 0;
  waitpid(pid_, &status, WUNTRACED);
}

void RedisServer::Resume() { kill(pid_, SIGCONT); }

bool RedisServer::Launch() {
  std::vector<std::string> command;
  if (options_.sentinel) {
    command = {"redis-sentinel", folder_.Write("sentinel.conf", options_.file), "--port",
               absl::StrCat(port_)};
  } else {
    command = {"redis-server", "--save", "", "--appendonly", "no"};
    command.insert(command.end(), {options_.tls ? "--tls-port" : "--port", absl::StrCat(port_)});
    if (options_.tls) command.insert(command.end(), {"--port", "0"});
  }
  command.insert(command.end(), {"--unixsocket", socket_, "--dir", folder_.path(), "--bind",
                                 "127.0.0.1", "--protected-mode", "no", "--daemonize", "no"});
  command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);

  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return false;
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(pipe_fds[1], STDOUT_FILENO);
    dup2(pipe_fds[1], STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipe_fds[1]);
  // It says when it accepts.
  std::string log;
  const absl::string_view ready = options_.sentinel ? "Sentinel ID is" : "eady to accept";
  char piece[4096];
  ssize_t size = 0;
  while (!absl::StrContains(log, ready) && (size = read(pipe_fds[0], piece, sizeof(piece))) > 0) {
    log.append(piece, static_cast<size_t>(size));
  }
  folder_.Write("log", log);
  // It goes on without a reader: it ignores SIGPIPE.
  close(pipe_fds[0]);
  if (absl::StrContains(log, ready)) return true;
  Kill();
  return false;
}

std::string RedisServer::Command(const std::vector<std::string>& arguments, bool may_fail) const {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string& argument : arguments) {
    texts.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  redisContext* const context = redisConnectUnix(socket_.c_str());
  std::string answer;
  if (context == nullptr || context->err != 0) {
    ADD_FAILURE() << "redis-server does not take a connection";
  } else {
    auto* const reply = static_cast<redisReply*>(
        redisCommandArgv(context, static_cast<int>(texts.size()), texts.data(), sizes.data()));
    if (reply == nullptr) {
      if (!may_fail) ADD_FAILURE() << arguments[0] << ": " << context->errstr;
    } else if (reply->type == REDIS_REPLY_ERROR && !may_fail) {
      ADD_FAILURE() << arguments[0] << ": " << reply->str;
    } else if (reply->type == REDIS_REPLY_INTEGER) {
      answer = absl::StrCat(reply->integer);
    } else if (reply->str != nullptr) {
      answer.assign(reply->str, reply->len);
    }
    if (reply != nullptr) freeReplyObject(reply);
  }
  if (context != nullptr) redisFree(context);
  return answer;
}

}  // namespace penstock
