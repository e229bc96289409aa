//! The date that a template asks for: fixed per conversation, so that its prompt stays the same from turn to turn.

use minijinja::{Error, ErrorKind};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A moment in UTC, for `strftime_now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatDate {
    unix_seconds: i64,
}

impl ChatDate {
    /// Seconds since 1970-01-01T00:00:00Z; kept within the years 0 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self { unix_seconds: seconds.clamp(-62_167_219_200, 253_402_300_799) }
    }

    pub fn unix_seconds(self) -> i64 {
        self.unix_seconds
    }

    /// Python's `strftime`, in the C locale. Directives that templates have no use for are refused.
    pub(super) fn format(self, format: &str) -> Result<String, Error> {
        let mut text = String::with_capacity(format.len() + 16);
        let mut chars = format.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                text.push(char);
                continue;
            }
            match chars.next() {
                Some('-') => {
                    let padded = self.directive(chars.next().unwrap_or(' '))?;
                    let bare = padded.trim_start_matches('0');
                    text.push_str(if bare.is_empty() { "0" } else { bare });
                }
                Some(directive) => text.push_str(&self.directive(directive)?),
                None => text.push('%'),
            }
        }
        Ok(text)
    }

    fn directive(self, directive: char) -> Result<String, Error> {
        let days = self.unix_seconds.div_euclid(86_400);
        let second = self.unix_seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        let weekday = (days + 3).rem_euclid(7) as usize;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let month_name = MONTHS[month as usize - 1];
        Ok(match directive {
            'Y' => format!("{year:04}"),
            'y' => format!("{:02}", year % 100),
            'm' => format!("{month:02}"),
            'd' => format!("{day:02}"),
            'e' => format!("{day:2}"),
            'j' => format!("{:03}", days - days_of(year, 1, 1) + 1),
            'B' => month_name.to_owned(),
            'b' | 'h' => month_name[..3].to_owned(),
            'A' => WEEKDAYS[weekday].to_owned(),
            'a' => WEEKDAYS[weekday][..3].to_owned(),
            'w' => format!("{}", (weekday + 1) % 7),
            'u' => format!("{}", weekday + 1),
            'H' => format!("{hour:02}"),
            'I' => format!("{:02}", (hour + 11) % 12 + 1),
            'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            'M' => format!("{minute:02}"),
            'S' => format!("{second:02}"),
            'F' => format!("{year:04}-{month:02}-{day:02}"),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'D' => format!("{month:02}/{day:02}/{:02}", year % 100),
            'z' => "+0000".to_owned(),
            'Z' => "UTC".to_owned(),
            '%' => "%".to_owned(),
            other => {
                let detail = format!("strftime_now: %{other} is not supported");
                return Err(Error::new(ErrorKind::InvalidOperation, detail));
            }
        })
    }
}

/// Year, month (1–12) and day (1–31) of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let mut year = 1970 + days.div_euclid(366);
    while days_of(year + 1, 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days_of(year, *month, 1) <= days).unwrap_or(1);
    (year, month, days - days_of(year, month, 1) + 1)
}

/// Days from 1970-01-01 to the given day.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let past = year - 1;
    let leap_days = past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - 477;
    let leap_day = i64::from(leap && month > 2);
    (year - 1970) * 365 + leap_days + BEFORE_MONTH[month as usize - 1] + leap_day + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_and_back_through_leap_years_and_centuries() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(-25_508), (1900, 3, 1));
        for days in (-719_000..2_900_000).step_by(97) {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn formats_print_what_python_prints() {
        let date = ChatDate::from_unix_seconds(1_709_214_127);
        let format = "%Y-%m-%d %H:%M:%S|%d %b %Y|%A, %B %-d|%I %p %j %y %a %w|100%%";
        let expected = "2024-02-29 13:42:07|29 Feb 2024|Thursday, February 29|01 PM 060 24 Thu 4|100%";
        assert_eq!(date.format(format).unwrap(), expected);
        assert!(date.format("%Q").unwrap_err().to_string().contains("%Q"));
    }
}
