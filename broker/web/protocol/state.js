/**
 * The vocabulary of the client's session: what it remembers, what can happen to it, and what it asks for.
 * Everything is plain data; `session.js` turns (state, event) into [state, commands].
 *
 * @import {ClientFrame, Contact, EdgeFrame, IceServer, InvitationInfo, SignInInfo, Status, WaitingGuest} from "./frames.js"
 */

/**
 * Something went wrong and the person is told so.
 * @typedef {object} Problem
 * @property {string} key tells problems on the list apart
 * @property {string} sentence
 * @property {string} code stable, for support
 * @property {string | null} decision_id quoted to the administrator to find out why
 */

/**
 * @typedef {object} Message
 * @property {string} key the sender's ref for one's own, the message id for others'
 * @property {"in" | "out"} direction
 * @property {string} text
 * @property {number} at_ms Unix milliseconds; the edge's clock once it has answered
 * @property {"received" | "sending" | "accepted" | "failed"} delivery
 * @property {Problem | null} problem why it failed
 */

/**
 * @typedef {object} Conversation
 * @property {Contact} contact
 * @property {boolean} reachable false once the contact can no longer be seen
 * @property {Message[]} messages
 * @property {number} unread
 */

/**
 * One call of this client, from the wish to the notice that it is over. `attempt` tells it from earlier ones when
 * devices or media answer late.
 * @typedef {object} Call
 * @property {"preparing" | "inviting" | "ringing" | "incoming" | "answering" | "connecting" | "active" | "ended"} phase
 * @property {number} attempt
 * @property {"caller" | "callee"} role
 * @property {Contact} peer
 * @property {("audio" | "video")[]} media
 * @property {string | null} ref
 * @property {string | null} call_id
 * @property {boolean} muted
 * @property {boolean} camera_off
 * @property {boolean} interrupted media stopped flowing and may come back
 * @property {string[]} remarks about this person's devices
 * @property {string | null} trouble why no sound or picture passes, until it does
 * @property {number | null} connected_at_ms
 * @property {string | null} sharing the party that shows its screen, as the edge says
 * @property {"none" | "choosing" | "asking" | "shown"} screen one's own: being chosen, allowed, or shown
 * @property {Problem | null} share_trouble why no screen is shown, until the next one is
 * @property {string | null} ending why it is over, as a sentence
 * @property {Problem | null} problem the error that ended it
 */

/**
 * What may be sent of each medium of a call, in bits per second with all that packets add; null for no limit.
 * @typedef {object} Limits
 * @property {number | null} audio
 * @property {number | null} video of the camera
 * @property {number | null} screen
 */

/**
 * @typedef {object} FreshInvitation
 * @property {InvitationInfo} invitation
 * @property {string} link shown once, kept nowhere else
 * @property {boolean} again it takes the place of another link
 */

/**
 * A guest's stay: who receives them, and where they are.
 * @typedef {object} Visit
 * @property {"lobby" | "inside" | "refused"} place
 * @property {string} notice
 * @property {Contact | null} host
 */

/**
 * What the edge thinks of this program, where it is not content with it.
 * @typedef {object} Program
 * @property {"refused" | "outdated"} standing
 * @property {string} message
 * @property {string} link where another one is
 */

/**
 * The organisation has stopped what this person may do here, and the edge named when to come back.
 * @typedef {object} Stop
 * @property {string} sentence
 * @property {number} return_after_seconds
 * @property {number | null} until_ms by this client's clock; null until the edge has closed the link too
 */

/**
 * @typedef {object} Session
 * @property {"connecting" | "online" | "waiting" | "stopped" | "ended"} link `stopped` is tried again when the edge said,
 *   `ended` is not tried again
 * @property {number} lost_links consecutive connections that failed, for the back-off
 * @property {string | null} farewell the sentence to show when the link has ended
 * @property {boolean} signed_out the edge no longer knows this person
 * @property {Stop | null} stop the last one the edge spoke of, until the link is online again
 * @property {Program | null} program
 * @property {Contact | null} you
 * @property {Status} status the status this person chose
 * @property {Record<string, Conversation>} conversations by party
 * @property {string | null} selected the party whose conversation is open
 * @property {InvitationInfo[]} invitations
 * @property {string | null} invitation_ref the link being asked for
 * @property {FreshInvitation | null} fresh_invitation
 * @property {Problem | null} invitation_problem
 * @property {SignInInfo[]} sign_ins this person's, as last asked for
 * @property {WaitingGuest[]} lobby
 * @property {Visit | null} visit only for guests
 * @property {Call | null} call
 * @property {number} attempts calls wished for so far
 * @property {string[]} given_up refs of calls this person gave up before the edge had named them
 * @property {Problem[]} problems newest last
 * @property {number} problem_count
 */

/**
 * @typedef {{event: "link.opened"}
 *  | {event: "link.lost", code: number, now_ms: number}
 *  | {event: "link.signed_out"}
 *  | {event: "link.retry"}
 *  | {event: "link.return"}
 *  | {event: "frame", frame: EdgeFrame}
 *  | {event: "problem.raise", sentence: string, code: string}
 *  | {event: "problem.dismiss", key: string}
 *  | {event: "program.dismiss"}
 *  | {event: "presence.choose", status: Status}
 *  | {event: "chat.select", party: string | null}
 *  | {event: "chat.write", ref: string, to: string, text: string, now_ms: number}
 *  | {event: "invitation.ask", ref: string, guest_name: string, guest_email: string | null,
 *     purpose: string, expires_in_seconds: number | null, redemptions: number | null}
 *  | {event: "invitation.again", ref: string, invitation_id: string}
 *  | {event: "invitation.withdraw", invitation_id: string}
 *  | {event: "invitation.put_away"}
 *  | {event: "sign_ins.ask", ref: string}
 *  | {event: "sign_ins.end", ref: string, sign_in_id: string}
 *  | {event: "sign_ins.end_others", ref: string}
 *  | {event: "guest.admit", guest: string}
 *  | {event: "guest.admit_all", guests: string[]}
 *  | {event: "guest.refuse", guest: string}
 *  | {event: "call.start", ref: string, party: string, video: boolean}
 *  | {event: "call.answer", video: boolean}
 *  | {event: "call.leave"}
 *  | {event: "call.dismiss"}
 *  | {event: "call.mute", muted: boolean}
 *  | {event: "call.camera", off: boolean}
 *  | {event: "screen.start"}
 *  | {event: "screen.ready", attempt: number}
 *  | {event: "screen.failed", attempt: number, sentence: string | null}
 *  | {event: "screen.stop"}
 *  | {event: "devices.ready", attempt: number, remarks: string[]}
 *  | {event: "media.described", attempt: number, kind: "offer" | "answer", sdp: string}
 *  | {event: "media.gathered", attempt: number, candidate: string, mid: string}
 *  | {event: "media.connected", attempt: number, now_ms: number}
 *  | {event: "media.interrupted", attempt: number}
 *  | {event: "media.failed", attempt: number, sentence: string}
 * } Event
 */

/**
 * @typedef {{command: "connect", lost_links: number}
 *  | {command: "return", after_seconds: number}
 *  | {command: "send", frame: ClientFrame}
 *  | {command: "announce", text: string, urgent: boolean}
 *  | {command: "devices.acquire", attempt: number, video: boolean}
 *  | {command: "media.open", attempt: number, role: "caller" | "callee", media: ("audio" | "video")[],
 *     ice_server: IceServer}
 *  | {command: "media.describe", kind: "offer" | "answer", sdp: string}
 *  | {command: "media.candidate", candidate: string, mid: string}
 *  | {command: "media.enable", kind: "audio" | "video", enabled: boolean}
 *  | {command: "media.limit", limits: Limits}
 *  | {command: "screen.acquire", attempt: number}
 *  | {command: "screen.show"}
 *  | {command: "screen.offer_again"}
 *  | {command: "screen.release"}
 *  | {command: "media.close"}
 * } Command
 */

/** @typedef {[Session, Command[]]} Step */

/**
 * The session before anything has happened.
 * @returns {Session}
 */
export function newSession() {
  return {
    link: "connecting",
    lost_links: 0,
    farewell: null,
    signed_out: false,
    stop: null,
    program: null,
    you: null,
    status: "available",
    conversations: {},
    selected: null,
    invitations: [],
    invitation_ref: null,
    fresh_invitation: null,
    invitation_problem: null,
    sign_ins: [],
    lobby: [],
    visit: null,
    call: null,
    attempts: 0,
    given_up: [],
    problems: [],
    problem_count: 0,
  };
}

/**
 * A command that sends one frame.
 * @param {ClientFrame} frame
 * @returns {Command}
 */
export function send(frame) {
  return { command: "send", frame };
}

/**
 * A command that tells people who cannot see the page's changes.
 * @param {string} text
 * @param {boolean} [urgent] interrupts what is being read out
 * @returns {Command}
 */
export function announce(text, urgent = false) {
  return { command: "announce", text, urgent };
}
