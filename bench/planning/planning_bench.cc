// What does planning cost, and when does choosing a set buy anything? run.sh says how.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>

#include "bench/planning/resident_case.h"
#include "bench/planning/set_cases.h"

namespace penstock::router {
namespace {

int Run(const std::string& data_folder, size_t seeds) {
  nlohmann::ordered_json result;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    result["hard_instance"].push_back(RunHardInstance(seed, {}));
  }
  if (data_folder.empty()) {
    result["skipped"] = "no --data: the real classes and who should be awake were left out";
  } else {
    const auto data = ReadRoutingData(data_folder, "mmlupro", /*prompts=*/true);
    if (!data.ok()) {
      result["skipped"] = std::string(data.status().message());
    } else {
      result["mmlupro_24_experts"] = RunRealClass(*data, 24, 2048, {});
      const SetSearchLimits search = {.tolerance = 0, .time = absl::Seconds(5)};
      for (const bool instruction_only : {true, false}) {
        for (const double idle_watts : {100.0, 0.0}) {
          for (auto& one : RunResidents(*data, instruction_only, idle_watts, 30, search)) {
            result["awake"].push_back(std::move(one));
          }
        }
      }
    }
  }
  std::printf("%s\n", result.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace penstock::router

int main(int argc, char** argv) {
  CLI::App app("Measures planning; prints JSON.");
  std::string data;
  size_t seeds = 5;
  app.add_option("--data", data, "folder with routing/ and calibration/");
  app.add_option("--seeds", seeds, "hard instances")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return penstock::router::Run(data, seeds);
}
