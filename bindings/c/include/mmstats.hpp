// mmstats for C++17 and later: owners of publishers, lanes, sections and activities over mmstats.h.
//
//     struct handles { mmstats_counter requests; mmstats_timer latency; };
//
//     mmstats::publisher<handles> web({
//         mmstats::field("requests", MMSTATS_COUNTER, offsetof(handles, requests)).help("Served."),
//         mmstats::field("latency", MMSTATS_LATENCY, offsetof(handles, latency)),
//     });
//     auto lane = web.attach();          // once in each thread
//     mmstats_incr(lane->requests);
//     mmstats::section timed(lane->latency);
#ifndef MMSTATS_HPP
#define MMSTATS_HPP

#include "mmstats.h"

#include <cstddef>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mmstats {

// A call that failed.
class error : public std::runtime_error {
  public:
    explicit error(int code) : std::runtime_error(mmstats_error()), code_(code) {}
    // One of enum mmstats_result.
    int code() const noexcept { return code_; }

  private:
    int code_;
};

// A field of the table. The texts that it is given live until the publisher has started.
class field {
  public:
    field(const char *label, mmstats_kind kind, std::size_t offset = 0) noexcept : raw_() {
        raw_.label = label;
        raw_.kind = static_cast<std::uint32_t>(kind);
        raw_.offset = offset;
    }
    field &help(const char *text) noexcept { return raw_.help = text, *this; }
    field &unit(const char *text) noexcept { return raw_.unit = text, *this; }
    field &type(mmstats_type type) noexcept { return raw_.type = static_cast<std::uint32_t>(type), *this; }
    field &capacity(std::uint32_t bytes) noexcept { return raw_.capacity = bytes, *this; }
    field &count(std::uint32_t count) noexcept { return raw_.count = count, *this; }
    field &shared() noexcept { return raw_.flags |= MMSTATS_SHARED, *this; }
    field &running() noexcept { return raw_.flags |= MMSTATS_RUNNING, *this; }
    field &aggregation(mmstats_aggregation rule) noexcept {
        return raw_.aggregation = static_cast<std::uint32_t>(rule), *this;
    }
    field &error(double relative) noexcept { return raw_.error = relative, *this; }
    field &range(double low, double high) noexcept { return raw_.low = low, raw_.high = high, *this; }
    field &value(const char *text) noexcept { return raw_.value = text, *this; }
    field &cap(std::uint32_t combinations) noexcept { return raw_.cap = combinations, *this; }
    // Keys and values by turns.
    field &attributes(std::initializer_list<const char *> pairs) { return list(attributes_, pairs); }
    // Names of states.
    field &names(std::initializer_list<const char *> names) { return list(names_, names); }
    // Labels of a family.
    field &labels(std::initializer_list<const char *> labels) { return list(labels_, labels); }
    field &members(std::initializer_list<mmstats_member> members) { return members_.assign(members), *this; }

    // The struct of the header, while this exists.
    mmstats_field raw() const noexcept {
        mmstats_field raw = raw_;
        raw.attributes = attributes_.empty() ? nullptr : attributes_.data();
        raw.names = names_.empty() ? nullptr : names_.data();
        raw.labels = labels_.empty() ? nullptr : labels_.data();
        raw.members = members_.data();
        raw.member_count = members_.size();
        return raw;
    }

  private:
    using texts = std::vector<const char *>;
    field &list(texts &to, std::initializer_list<const char *> from) {
        to.assign(from);
        to.push_back(nullptr);
        return *this;
    }

    mmstats_field raw_;
    texts attributes_, names_, labels_;
    std::vector<mmstats_member> members_;
};

// A thread's lane with its handles, which this thread alone uses.
template <class Handles> class lane {
  public:
    explicit lane(mmstats_publisher *publisher) : handles_(), lane_(mmstats_attach(publisher, &handles_)) {}
    lane(mmstats_publisher *publisher, std::uint64_t thread, const char *name)
        : handles_(), lane_(mmstats_attach_for(publisher, &handles_, thread, name)) {}
    lane(lane &&other) noexcept : handles_(other.handles_), lane_(std::exchange(other.lane_, nullptr)) {}
    lane &operator=(lane &&other) noexcept {
        std::swap(handles_, other.handles_);
        std::swap(lane_, other.lane_);
        return *this;
    }
    lane(const lane &) = delete;
    lane &operator=(const lane &) = delete;
    ~lane() { mmstats_detach(lane_); }

    const Handles *operator->() const noexcept { return &handles_; }
    const Handles &operator*() const noexcept { return handles_; }
    // Whether readers see the updates.
    explicit operator bool() const noexcept { return lane_ != nullptr; }
    // The handle of a field that was added while the program runs.
    template <class Handle> Handle attach(mmstats_key key) {
        Handle handle;
        if (int code = mmstats_attach_key(lane_, key, &handle)) {
            throw error(code);
        }
        return handle;
    }

  private:
    static_assert(std::is_trivially_copyable<Handles>::value, "a struct of handles");
    Handles handles_;
    mmstats_lane *lane_;
};

// A publisher whose table has its offsets in `Handles`. The last lane may be detached after it ends.
template <class Handles> class publisher {
  public:
    // Throws if publishing is impossible, unless the options say MMSTATS_OR_PRIVATE.
    explicit publisher(const std::vector<field> &fields, mmstats_options options = MMSTATS_OPTIONS)
        : raw_(nullptr) {
        std::vector<mmstats_field> table;
        for (const field &each : fields) {
            table.push_back(each.raw());
        }
        options.fields = table.data();
        options.field_count = table.size();
        options.field_size = sizeof(mmstats_field);
        if (int code = mmstats_start(&raw_, &options)) {
            error failed(code);
            mmstats_close(raw_);
            throw failed;
        }
    }
    publisher(publisher &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    publisher &operator=(publisher &&other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    publisher(const publisher &) = delete;
    publisher &operator=(const publisher &) = delete;
    ~publisher() { mmstats_close(raw_); }

    // A lane for this thread.
    lane<Handles> attach() const { return lane<Handles>(raw_); }
    lane<Handles> attach_for(std::uint64_t thread, const char *name) const {
        return lane<Handles>(raw_, thread, name);
    }
    mmstats_key add(const field &added) const {
        mmstats_field raw = added.raw();
        mmstats_key key{};
        check(mmstats_add(raw_, &raw, &key));
        return key;
    }
    void retire(mmstats_key key) const { check(mmstats_retire(raw_, key)); }
    bool is_forked() const noexcept { return mmstats_is_forked(raw_) != 0; }
    void restart() const { check(mmstats_restart(raw_)); }
    // Why readers do not see all values; empty if they do.
    std::string problem() const {
        const char *text = mmstats_problem(raw_);
        return text ? text : "";
    }
    mmstats_publisher *get() const noexcept { return raw_; }

  private:
    static void check(int code) {
        if (code) {
            throw error(code);
        }
    }
    mmstats_publisher *raw_;
};

// Times from its begin to its end.
class section {
  public:
    explicit section(mmstats_timer timer) noexcept : timer_(timer), begun_(mmstats_timer_begin(timer)) {}
    section(const section &) = delete;
    section &operator=(const section &) = delete;
    ~section() { mmstats_timer_end(timer_, begun_); }

  private:
    mmstats_timer timer_;
    mmstats_section begun_;
};

// Shows a text as in progress from its begin to its end.
class doing {
  public:
    doing(mmstats_activity activity, const char *text) noexcept
        : activity_(activity), row_(mmstats_activity_begin(activity, text)) {}
    doing(const doing &) = delete;
    doing &operator=(const doing &) = delete;
    ~doing() { mmstats_activity_end(activity_, row_); }
    void set(const char *text) noexcept { mmstats_activity_set(activity_, row_, text); }

  private:
    mmstats_activity activity_;
    std::uint32_t row_;
};

} // namespace mmstats

#endif
