#pragma once

#include <functional>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace penstock::cli {

// A subcommand of `penstock`: adds itself and its options to the application, and leaves in `run`
// what to do once it was chosen. `run` prints its own results; an error is printed by main(), which
// ends with
// 1 then, or as cli/exit_code.h says.
using Run = std::function<absl::Status()>;
using RegisterCommand = void (*)(CLI::App& app, Run& run);

void RegisterServe(CLI::App& app, Run& run);
void RegisterTrain(CLI::App& app, Run& run);
void RegisterPlan(CLI::App& app, Run& run);
void RegisterQuantize(CLI::App& app, Run& run);
void RegisterImport(CLI::App& app, Run& run);
void RegisterKernels(CLI::App& app, Run& run);
void RegisterReplay(CLI::App& app, Run& run);
void RegisterLog(CLI::App& app, Run& run);
void RegisterInfer(CLI::App& app, Run& run);
void RegisterLoad(CLI::App& app, Run& run);
void RegisterExplain(CLI::App& app, Run& run);
void RegisterStatus(CLI::App& app, Run& run);
void RegisterBudget(CLI::App& app, Run& run);
void RegisterReport(CLI::App& app, Run& run);
void RegisterShadow(CLI::App& app, Run& run);
void RegisterPromote(CLI::App& app, Run& run);
void RegisterEvaluate(CLI::App& app, Run& run);
void RegisterHealth(CLI::App& app, Run& run);

}  // namespace penstock::cli
