#include "cli/plan/plan_profile.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

absl::Status Bad(const std::string& path, const std::string& where, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", where, ": ", what));
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  absl::StatusOr<PlanProfile> Read(const YAML::Node& root) {
    if (!root.IsMap()) return Bad(path_, "", "wanted \"experts\" and perhaps \"classes\"");
    for (const auto& entry : root) {
      const std::string key = entry.first.Scalar();
      if (key != "experts" && key != "classes") {
        return Bad(path_, key, "unknown, wanted \"experts\" or \"classes\"");
      }
      if (!entry.second.IsMap()) return Bad(path_, key, "wanted an entry for each name");
      for (const auto& item : entry.second) {
        PENSTOCK_RETURN_IF_ERROR(key == "experts" ? ReadExpert(item.first.Scalar(), item.second)
                                                  : ReadClass(item.first.Scalar(), item.second));
      }
    }
    if (profile_.experts.empty()) return Bad(path_, "experts", "wanted at least one");
    return std::move(profile_);
  }

 private:
  absl::StatusOr<double> Number(const std::string& where, const YAML::Node& node) const {
    double value = 0;
    if (node.IsScalar() && absl::SimpleAtod(node.Scalar(), &value) && value >= 0 &&
        std::isfinite(value)) {
      return value;
    }
    return Bad(path_, where,
               absl::StrCat("wanted a number not below 0, found ",
                            node.IsScalar() ? "\"" + node.Scalar() + "\"" : "something else"));
  }

  absl::Status ReadExpert(const std::string& name, const YAML::Node& node) {
    const std::string where = absl::StrCat("experts.", name);
    if (!node.IsMap()) return Bad(path_, where, "wanted its figures");
    ExpertProfile& expert = profile_.experts.emplace_back();
    expert.name = name;
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      const std::string at = absl::StrCat(where, ".", key);
      if (key == "energy_j") {
        PENSTOCK_ASSIGN_OR_RETURN(expert.energy_j, Number(at, entry.second));
      } else if (key == "latency_s") {
        PENSTOCK_ASSIGN_OR_RETURN(expert.latency_s, Number(at, entry.second));
      } else if (key == "idle_watts") {
        PENSTOCK_ASSIGN_OR_RETURN(expert.idle_watts, Number(at, entry.second));
      } else if (key == "quality" && entry.second.IsSequence()) {
        for (const YAML::Node& one : entry.second) {
          PENSTOCK_ASSIGN_OR_RETURN(const double value, Number(at, one));
          expert.quality.push_back(value);
        }
      } else if (key == "quality") {
        PENSTOCK_ASSIGN_OR_RETURN(const double value, Number(at, entry.second));
        expert.quality = {value};
      } else {
        return Bad(path_, at, "unknown, wanted energy_j, latency_s, idle_watts or quality");
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadClass(const std::string& name, const YAML::Node& node) {
    const std::string where = absl::StrCat("classes.", name);
    if (!node.IsMap()) return Bad(path_, where, "wanted its limits");
    ClassProfile& of = profile_.classes.emplace_back();
    of.name = name;
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      const std::string at = absl::StrCat(where, ".", key);
      if (key == "energy_limit_j") {
        PENSTOCK_ASSIGN_OR_RETURN(of.energy_limit_j, Number(at, entry.second));
      } else if (key == "latency_limit_s") {
        PENSTOCK_ASSIGN_OR_RETURN(of.latency_limit_s, Number(at, entry.second));
      } else if ((key == "required" || key == "forbidden") && entry.second.IsSequence()) {
        for (const YAML::Node& expert : entry.second) {
          (key == "required" ? of.required : of.forbidden).push_back(expert.Scalar());
        }
      } else {
        return Bad(path_, at,
                   "wanted energy_limit_j, latency_limit_s, or lists required and forbidden");
      }
    }
    return absl::OkStatus();
  }

  const std::string& path_;
  PlanProfile profile_;
};

}  // namespace

absl::StatusOr<PlanProfile> ReadPlanProfile(const std::string& path) {
  try {
    return Reader(path).Read(YAML::LoadFile(path));
  } catch (const YAML::BadFile&) {
    return absl::NotFoundError(absl::StrCat("cannot open ", path));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
  }
}

}  // namespace penstock::cli
