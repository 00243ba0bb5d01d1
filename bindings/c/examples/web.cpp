// Threads with lanes of their own, timed sections and activities.
#include <mmstats.hpp>

#include <iostream>
#include <thread>
#include <vector>

struct handles {
    mmstats_counter requests;
    mmstats_timer latency;
    mmstats_activity doing;
    mmstats_state phase;
};

int main() {
    using mmstats::field;
    mmstats::publisher<handles> web({
        field("requests", MMSTATS_COUNTER, offsetof(handles, requests)).help("Requests served."),
        field("latency", MMSTATS_LATENCY, offsetof(handles, latency)).error(0.02),
        field("doing", MMSTATS_ACTIVITY, offsetof(handles, doing)).capacity(64),
        field("phase", MMSTATS_STATE, offsetof(handles, phase)).names({"idle", "busy"}),
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&web] {
            auto lane = web.attach();
            mmstats_state_set(lane->phase, 1);
            for (int n = 0; n < 1000; n++) {
                mmstats::section timed(lane->latency);
                mmstats::doing request(lane->doing, "GET /");
                mmstats_incr(lane->requests);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    mmstats_key key = web.add(field("late", MMSTATS_GAUGE).type(MMSTATS_I64));
    auto lane = web.attach();
    auto late = lane.attach<mmstats_gauge_i64>(key);
    mmstats_gauge_set_i64(late, -7);
    try {
        web.add(field("late", MMSTATS_COUNTER));
        return 1;
    } catch (const mmstats::error &error) {
        if (error.code() != MMSTATS_E_FIELD) {
            std::cerr << error.what() << "\n";
            return 1;
        }
    }
    const char *path = mmstats_path(web.get(), 0);
    std::cout << (path ? path : web.problem()) << std::endl;
    std::cin.get();
}
