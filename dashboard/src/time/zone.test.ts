// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import { chooseZone, chosenZone, formatTime, instantOf, isZone, offsetMs, offsetText } from "./zone";

const AT = Date.UTC(2025, 2, 28, 10, 0, 0, 123);
const HOUR_MS = 3_600_000;

describe("formatTime", () => {
  it("writes an instant in the zone to the precision asked for", () => {
    expect(formatTime(AT, "UTC", "day")).toBe("2025-03-28");
    expect(formatTime(AT, "UTC", "minute")).toBe("2025-03-28 10:00");
    expect(formatTime(AT, "UTC", "second")).toBe("2025-03-28 10:00:00");
    expect(formatTime(AT, "Europe/Berlin")).toBe("2025-03-28 11:00:00.123");
    expect(formatTime(AT, "Asia/Kolkata", "minute")).toBe("2025-03-28 15:30");
    expect(formatTime(AT, "America/New_York", "minute")).toBe("2025-03-28 06:00");
  });

  it("keeps the microseconds of the API's times", () => {
    expect(formatTime("2025-03-28T10:00:00.123456Z", "UTC", "microsecond")).toBe(
      "2025-03-28 10:00:00.123456",
    );
    expect(formatTime("1969-12-31T23:59:59.999999Z", "UTC", "microsecond")).toBe(
      "1969-12-31 23:59:59.999999",
    );
  });

  it("gives back what is not a time", () => {
    expect(formatTime("soon", "UTC")).toBe("soon");
  });
});

describe("the days on which clocks are changed", () => {
  it("have both offsets", () => {
    const change = Date.UTC(2025, 2, 30, 1);
    expect(offsetMs(change - 1, "Europe/Berlin")).toBe(HOUR_MS);
    expect(offsetMs(change, "Europe/Berlin")).toBe(2 * HOUR_MS);
  });

  it("have instants for wall times on either side", () => {
    const wall = (hour: number) => Date.UTC(2025, 2, 30, hour, 30);
    expect(instantOf(wall(1), "Europe/Berlin")).toBe(Date.UTC(2025, 2, 30, 0, 30));
    expect(instantOf(wall(3), "Europe/Berlin")).toBe(Date.UTC(2025, 2, 30, 1, 30));
  });

  it("push a time that spring leaves out behind the gap", () => {
    const instant = instantOf(Date.UTC(2025, 2, 30, 2, 30), "Europe/Berlin");
    expect(formatTime(instant, "Europe/Berlin", "minute")).toBe("2025-03-30 03:30");
  });

  it("take the first of the two times of autumn", () => {
    expect(instantOf(Date.UTC(2025, 9, 26, 2, 30), "Europe/Berlin")).toBe(Date.UTC(2025, 9, 26, 0, 30));
  });
});

describe("names of zones", () => {
  it("are checked against those the browser knows", () => {
    expect(isZone("Europe/Berlin")).toBe(true);
    expect(isZone("Middle/Earth")).toBe(false);
  });

  it("have an offset to show", () => {
    expect(offsetText(AT, "UTC")).toBe("UTC");
    expect(offsetText(AT, "Asia/Kolkata")).toBe("UTC+05:30");
    expect(offsetText(AT, "America/New_York")).toBe("UTC−04:00");
  });
});

describe("the choice", () => {
  beforeEach(() => localStorage.clear());

  it("is kept in this browser", () => {
    chooseZone("Asia/Tokyo");
    expect(chosenZone()).toBe("Asia/Tokyo");
  });

  it("is the browser's zone when what was kept is none", () => {
    localStorage.setItem("tailrace-zone", "Middle/Earth");
    expect(chosenZone()).toBe("");
  });
});
