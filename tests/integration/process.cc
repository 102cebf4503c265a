#include "tests/integration/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace penstock {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(5);
constexpr absl::Duration kReadyPatience = absl::Seconds(120);

// Forks and executes `command` with stdout and stderr in a file; dies with this process.
pid_t Launch(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  // Only what is safe between fork and exec in a process of many threads.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

int ExitCode(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

}  // namespace

bool Eventually(const std::function<bool()>& is_so, absl::Duration patience) {
  const absl::Time until = absl::Now() + patience;
  while (!is_so()) {
    if (absl::Now() >= until) return false;
    absl::SleepFor(kPoll);
  }
  return true;
}

int RunCommand(const std::vector<std::string>& command, std::string& output) {
  const TempDir folder;
  const pid_t pid = Launch(command, folder.File("output"));
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  output = folder.Read("output");
  return ExitCode(status);
}

std::unique_ptr<Process> Process::Start(const std::string& binary, const std::string& config,
                                        const std::vector<std::string>& leading) {
  auto process = std::unique_ptr<Process>(new Process(binary));
  std::vector<std::string> command = {std::string(PENSTOCK_BIN_DIR) + "/" + binary};
  command.insert(command.end(), leading.begin(), leading.end());
  for (const std::string& argument :
       {std::string("--config"), process->folder_.Write("config.yaml", config),
        std::string("--ready_file"), process->folder_.File("ready")}) {
    command.push_back(argument);
  }
  process->pid_ = Launch(command, process->folder_.File("log"));
  if (!process->WaitUntilReady()) {
    ADD_FAILURE() << binary << " is not ready\n" << config << "\n" << process->Log();
    return nullptr;
  }
  return process;
}

bool Process::WaitUntilReady() {
  std::string line;
  const bool ready = Eventually(
      [&] {
        line = folder_.Read("ready");
        return absl::EndsWith(line, "\n") || !running();
      },
      kReadyPatience);
  if (!ready || !running()) return false;
  std::map<std::string, std::string> words;
  for (const absl::string_view word : absl::StrSplit(absl::StripAsciiWhitespace(line), ' ')) {
    words.insert(absl::StrSplit(word, absl::MaxSplits('=', 1)));
  }
  grpc_ = words["grpc"];
  metrics_ = words["metrics"];
  return !grpc_.empty();
}

Process::~Process() {
  if (running()) {
    Kill();
    Wait();
  }
  if (testing::Test::HasFailure() && pid_ > 0) {
    std::fprintf(stderr, "--- %s %d\n%s", name_.c_str(), pid_, Log().c_str());
  }
}

void Process::Reconfigure(const std::string& config) {
  const std::string written = folder_.Write("config.new", config);
  EXPECT_EQ(std::rename(written.c_str(), folder_.File("config.yaml").c_str()), 0);
}

void Process::Hangup() { kill(pid_, SIGHUP); }
void Process::Terminate() { kill(pid_, SIGTERM); }
void Process::Kill() { kill(pid_, SIGKILL); }
void Process::Pause() { kill(pid_, SIGSTOP); }
void Process::Resume() { kill(pid_, SIGCONT); }

bool Process::running() {
  if (pid_ < 0 || exit_code_.has_value()) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  exit_code_ = ExitCode(status);
  return false;
}

std::optional<int> Process::Wait(absl::Duration patience) {
  Eventually([&] { return !running(); }, patience);
  return exit_code_;
}

std::optional<int> Process::Stop() {
  Terminate();
  return Wait();
}

std::string Process::Log() const { return folder_.Read("log"); }

}  // namespace penstock
