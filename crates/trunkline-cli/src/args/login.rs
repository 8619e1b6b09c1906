//! `trunkline login`, and what `trunkline fetch --login` shares with it.

use std::path::PathBuf;
use std::time::Duration;

use trunkline_scrape::{Expect, FormChoice};

use super::seconds;

const ABOUT: &str = "\
Log in to a site through its form, and keep the cookies

Fetches the page at URL, fills in its form as a browser would, hidden inputs and
all, sends it, follows where that leads, and prints a line saying where it led.
With --cookies, `trunkline fetch --cookies` and `curl -b` are then logged in.";

const MORE: &str = "\
The form:
  The first of the page that has a field for a password, or that of --form. Its
  fields are filled in by their names; if one is not there, the error lists
  those that are. A select is filled in with an option's value, a checkbox is
  checked by its value, which is `on` for most. Scripts are not run.

The password:
  From --password-file or --password-env, or else it is asked for on the
  terminal, unseen. It is never an argument: those can be read by others while
  the program runs, and shells keep them.

Whether it worked:
  By default, if the page that it leads to in the end has the status 200 and no
  field for a password. With --expect, if that page is what is expected; of
  several, all have to hold:
    status=200            its status
    url=/account          its path, or its whole address
    cookie=sessionid      a cookie would be sent to it
    present=a.logout      a CSS selector finds something on it
    absent=form.login     a CSS selector finds nothing on it
    text=Welcome          it says this
  A login that failed leaves the file of --cookies as it was.

Exit status:
  0  logged in
  1  not logged in: standard error says why, with what the page itself says
  2  the arguments cannot be used, or the page has no such form or field
  130  stopped by Ctrl-C (143: by SIGTERM)

Examples:
  trunkline login https://example.com/login --field user=ann --cookies jar.txt
      Asks for the password, logs in, keeps the cookies.
  trunkline fetch --cookies jar.txt https://example.com/members
      Fetches with them; `curl -b jar.txt` does as well.
  pass example.com | trunkline login https://example.com/login \\
          --field user=ann --password-file - --expect cookie=sessionid
      The password from a program; it worked if there is that cookie.";

#[derive(clap::Args, Debug)]
#[command(about = "Log in to a site through its form, and keep the cookies", long_about = ABOUT, after_long_help = MORE)]
#[command(override_usage = "trunkline login [OPTIONS] URL")]
pub(crate) struct Login {
    /// The page with the form
    #[arg(id = "login", value_name = "URL")]
    pub(crate) url: String,

    #[command(flatten)]
    pub(crate) form: LoginForm,

    /// Keep cookies in FILE, the one of curl's -b and -c: read at the start if it is there, written
    /// when logged in
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies: Option<PathBuf>,

    /// A header for every request, such as 'Accept-Language: en'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// How long each of its requests may take, redirects included; may be a fraction
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Duration,
}

/// The form, what it is filled in with, and what tells that it worked. `login` is the URL, of
/// either command.
#[derive(clap::Args, Debug)]
pub(crate) struct LoginForm {
    /// Fill in a field of the form, though never a password; may be repeated
    #[arg(long = "field", value_name = "NAME=VALUE", requires = "login")]
    pub(crate) fields: Vec<String>,

    /// Take the password from FILE, which has it for its only line; - is standard input
    #[arg(long, value_name = "FILE", requires = "login", conflicts_with = "password_env")]
    pub(crate) password_file: Option<PathBuf>,

    /// Take the password from the environment variable NAME
    #[arg(long, value_name = "NAME", requires = "login")]
    pub(crate) password_env: Option<String>,

    /// The name of the field for the password, if the form has several such fields
    #[arg(long, value_name = "NAME", requires = "login")]
    pub(crate) password_field: Option<String>,

    /// Which form it is: id=ID, name=NAME, selector=CSS, or number=N, where the page's first is 0
    #[arg(long, value_name = "WHICH", requires = "login", value_parser = form)]
    pub(crate) form: Option<FormChoice>,

    /// What tells that it worked, such as url=/account or cookie=sessionid; may be repeated
    #[arg(long = "expect", value_name = "WHAT", requires = "login", value_parser = str::parse::<Expect>)]
    pub(crate) expected: Vec<Expect>,
}

fn form(text: &str) -> Result<FormChoice, String> {
    let wanted = || "write id=ID, name=NAME, selector=CSS or number=N".to_owned();
    let (by, what) = text.split_once('=').filter(|(_, what)| !what.is_empty()).ok_or_else(wanted)?;
    match by {
        "id" => Ok(FormChoice::Id(what.into())),
        "name" => Ok(FormChoice::Name(what.into())),
        "selector" => Ok(FormChoice::Selector(what.into())),
        "number" => {
            what.parse().map(FormChoice::Position).map_err(|_| "number= wants a whole number; the first is 0".into())
        }
        _ => Err(wanted()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_named_by_what_tells_it_from_others() {
        assert_eq!(form("id=in"), Ok(FormChoice::Id("in".into())));
        assert_eq!(form("selector=form[action='/in']"), Ok(FormChoice::Selector("form[action='/in']".into())));
        assert_eq!(form("number=0"), Ok(FormChoice::Position(0)));
        for unusable in ["", "in", "id=", "class=in", "number=first", "number=-1"] {
            form(unusable).unwrap_err();
        }
    }
}
